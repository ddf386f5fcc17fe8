"""What llama.cpp holds of a model and of earlier prompts: measured, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.llama_cpp.memory import drop_mapped_copy, fits_mapped
from gemma4_runtime.manifest import read_manifest

DEMO = Path("demo/checkpoint").resolve()
GIB = 2**30

CHILD = """
import json, os, sys
from pathlib import Path
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp import loading
from gemma4_runtime.manifest import read_manifest

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    names = ("RssAnon", "RssFile", "VmHWM")
    return {name: int(fields[name].split()[0]) << 10 for name in names}

folder = Path(sys.argv[1])
if sys.argv[2] == "short":
    loading.fits_mapped = lambda size, available: False
manifest, before = read_manifest(folder), resident()
info = EngineInfo("llama_cpp", "", manifest.precision, 1, 0, 256, 0)
server = loading.load_server(folder / "model.gguf", info, manifest.llama_cpp, 1)
server.handle_completions({"prompt": list(range(600, 632)), "max_tokens": 4})
print(json.dumps([before, resident()]))
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """110 MB of int4, large beside everything else that a process holds."""
    folder = tmp_path_factory.mktemp("memory")
    write_checkpoint(folder / "c", replace(PRESETS["1gb"], layers=6), tokenizer=DEMO, vision=False)
    request = BuildRequest(
        checkpoint=folder / "c", out=folder / "e", precision="int4", slots=1,
        max_total_tokens=256, skip_verify=True,
    )  # fmt: skip
    build_engine(request, SilentReporter())
    return folder / "e"


@pytest.mark.parametrize("room", ["plenty", "short"])
def test_the_weights_are_resident_once(engine: Path, room: str) -> None:
    """int4 is repacked: the mapped file must not stay beside the copy, and where room is short it
    must not even be there while the model loads."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(engine), room],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    before, after = json.loads(done.stdout.splitlines()[-1])
    size = (engine / "model.gguf").stat().st_size
    need = read_manifest(engine).memory
    grown = sum(after[name] - before[name] for name in ("RssAnon", "RssFile"))
    assert after["RssAnon"] - before["RssAnon"] > 0.5 * size, "not repacked: nothing was shown"
    beside = need.total(slots=1, max_total_tokens=256) - need.weight_bytes
    assert grown < 1.15 * size + beside
    if room == "short":
        assert (
            after["VmHWM"] - sum(before[n] for n in ("RssAnon", "RssFile")) < 1.15 * size + beside
        )


def test_a_model_that_is_not_held_twice_stays_mapped(engine: Path) -> None:
    assert drop_mapped_copy(engine / "model.gguf") == 0


@pytest.mark.parametrize(
    ("available", "mapped"), [(32 * GIB, True), (22 * GIB, True), (17 * GIB, False)]
)
def test_the_26b_is_read_where_there_is_no_room_to_map_it(available: int, mapped: bool) -> None:
    assert fits_mapped(14_600_000_000, available) is mapped
