"""A damaged checkpoint is refused in one clear line, or builds something that can be served.

More cases: ``python tests/build/test_build_fuzz.py CHECKPOINT FIRST CASES``.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from gemma4_build.errors import BuildError
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.output.vocab import load_token_table
from gemma4_runtime.preparation.preparer import preparer_of
from gemma4_testing.file_damage import damage_bytes, damage_json

INDEX = "model.safetensors.index.json"
JSON_FILES = ("config.json", "generation_config.json", "tokenizer.json", INDEX)
HEADERS = ("model-00001-of-00004.safetensors", "model-00003-of-00004.safetensors")
OTHERS = ("chat_template.jinja", "tokenizer_config.json", *HEADERS)
MOST_S = 30
WAYS_OUT = (
    "download", "give the folder", "this project builds", "take ", "choose", "use ", "set ", "must",
    "need", "build from", "belong", "--", "quantize", "correct the template",
)  # fmt: skip


def damage_header(data: bytes, random: Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    head = damage_json(data[8 : 8 + length], random)
    said = len(head) if random.random() < 0.9 else random.choice((0, 1, length + 1, 2**40, 2**63))
    return said.to_bytes(8, "little") + head + data[8 + length :]


def spoil(folder: Path, random: Random) -> str:
    """Damage one file; which."""
    name = random.choice((*JSON_FILES, *JSON_FILES, *HEADERS, *OTHERS))
    path = folder / name
    kind = random.randrange(20)
    if kind == 0:
        path.unlink()
        random.choice(
            (path.mkdir, lambda: path.symlink_to(name), lambda: path.symlink_to("/dev/zero"))
        )()
        return name
    data = path.read_bytes()
    if name in HEADERS and kind < 15:
        path.write_bytes(damage_header(data, random))
    elif name in JSON_FILES and kind < 15:
        path.write_bytes(damage_json(data, random))
    else:
        path.write_bytes(damage_bytes(data, random))
    return name


def one_case(source: Path, seed: int) -> str:
    """ "built" or the kind of the refusal. Raises :class:`AssertionError`."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        checkpoint, out = root / "checkpoint", root / "out" / "engine"
        shutil.copytree(source, checkpoint)
        what = spoil(checkpoint, random)
        runtime = random.choice(("llama_cpp", "llama_cpp", "synthetic", "tensorrt_llm"))
        began = time.monotonic()
        try:
            request = BuildRequest(
                checkpoint=checkpoint, out=out, runtime=runtime, threads=None,
                precision="bf16", skip_verify=True,
            )  # fmt: skip
            manifest = build_engine(request, SilentReporter()).manifest
        except BuildError as error:
            text = str(error)
            assert text.isprintable() and len(text) < 3000, (seed, what, text)
            assert any(way in text for way in WAYS_OUT), (seed, what, text)
            assert not out.parent.exists() or not list(out.parent.iterdir()), (seed, what)
            return type(error).__name__
        finally:
            assert time.monotonic() - began < MOST_S, (seed, what, runtime)
        load_engine_folder(out, verify_hashes=True)
        load_token_table(out / "tokenizer.json")
        preparer_of(out, manifest)
        return "built"


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_damaged_checkpoints(first: int, sharded_source: Path) -> None:
    found = Counter(one_case(sharded_source, seed) for seed in range(first, first + 50))
    assert sum(found.values()) == 50 and 0 < found["built"] < 50


if __name__ == "__main__":
    begin, count = int(sys.argv[2]), int(sys.argv[3])
    total: Counter[str] = Counter()
    for number in range(begin, begin + count):
        try:
            total[one_case(Path(sys.argv[1]), number)] += 1
        except Exception as problem:  # noqa: BLE001 - a fuzzer shows whatever comes
            total["PROBLEM"] += 1
            print(number, type(problem).__name__, str(problem)[:300])
    print(dict(total))
