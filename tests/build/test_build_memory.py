"""Memory does not grow with the checkpoint."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from gemma4_build.random_checkpoint import PRESETS, write_checkpoint

RUN = """
import json, resource, sys
from pathlib import Path
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.reference import reference_logits
from gemma4_build.request import BuildRequest
import gemma4_build.verify.gguf_run

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

start = peak()
source, out = Path(sys.argv[1]), Path(sys.argv[2])
build_engine(
    BuildRequest(checkpoint=source, out=out, precision="int4", skip_verify=True), SilentReporter()
)
converted = peak()
with open_checkpoint(source) as checkpoint:
    reference_logits(checkpoint, [[2, 500, 501, 502]], last=[1], reporter=SilentReporter())
print(json.dumps([start, converted, peak()]))
"""


def test_peak_memory(demo_checkpoint: Path, tmp_path: Path) -> None:
    """Two layers of 400 MB, most of it in one tensor of 270 MB."""
    preset = dataclasses.replace(
        PRESETS["tiny"], layers=2, pattern=1, hidden=1024, moe_intermediate=512, experts=128,
        intermediate=512, shard_bytes=1 << 40,
    )  # fmt: skip
    write_checkpoint(tmp_path / "c", preset, tokenizer=demo_checkpoint)
    size = (tmp_path / "c" / "model.safetensors").stat().st_size
    assert size > 800e6
    command = [sys.executable, "-c", RUN, str(tmp_path / "c"), str(tmp_path / "engine")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    start, converted, end = json.loads(done.stdout)
    assert converted - start < 270e6
    assert end - start < 270e6
