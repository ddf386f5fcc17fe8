"""A checkpoint that somebody made to do harm: nothing of it is run, nothing large is read."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors
from gemma4_build.data_only import PICKLE_SUFFIXES
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

RUNTIMES = ("llama_cpp", "tensorrt_llm")
SHARD = "model.safetensors"
INDEX = "model.safetensors.index.json"
MOST_MEMORY = 1 << 30


class Payload:
    """Unpickled, it writes the file ``mark``."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


def refusal(checkpoint: Path, runtime: str) -> str:
    out = checkpoint.parent / "out" / "engine"
    with pytest.raises(errors.BadCheckpointError) as caught:
        build_engine(
            BuildRequest(
                checkpoint=checkpoint, out=out, runtime=runtime, precision="bf16", skip_verify=True
            ),
            SilentReporter(),
        )
    assert not out.parent.exists() or not list(out.parent.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("suffix", PICKLE_SUFFIXES)
@pytest.mark.parametrize("named", ["alone", "by the index"])
def test_pickled_weights_are_never_read(
    tiny: Path, tmp_path: Path, suffix: str, named: str, runtime: str
) -> None:
    mark = tmp_path / "mark"
    (tiny / SHARD).unlink()
    name = f"pytorch_model{suffix}"
    (tiny / name).write_bytes(pickle.dumps(Payload(mark)))
    if named != "alone":
        (tiny / INDEX).write_text(json.dumps({"weight_map": {"a.weight": name}}))
    text = refusal(tiny, runtime)
    assert name in text and "only safetensors" in text and "download" in text
    assert not mark.exists()


def test_the_payload_would_run(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("runtime", [*RUNTIMES, "synthetic"])
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_a_checkpoint_is_never_run(
    tiny: Path, tmp_path: Path, edit_json: Any, file: str, runtime: str
) -> None:
    mark = tmp_path / "mark"
    (tiny / "modeling_gemma4.py").write_text(f"open({str(mark)!r}, 'w')\n")
    edit_json(tiny / file, lambda c: c.update(auto_map={"AutoConfig": "modeling_gemma4.Config"}))
    text = refusal(tiny, runtime)
    assert f"{file}: auto_map" in text and "never run" in text and "take the key out" in text
    assert not mark.exists()


def sparse(path: Path, start: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def length(count: int) -> bytes:
    return count.to_bytes(8, "little")


def header(shape: list[int], offsets: list[int]) -> bytes:
    text = json.dumps({"a": {"dtype": "BF16", "shape": shape, "data_offsets": offsets}}).encode()
    return length(len(text)) + text


TEN_GB = 10 << 30
HEADERS: dict[str, Callable[[Path], object]] = {
    "a length of all ones": lambda p: p.write_bytes(b"\xff" * 16),
    "2^63": lambda p: sparse(p, length(1 << 63), TEN_GB),
    "a length within a large file": lambda p: sparse(p, length(TEN_GB - 8), TEN_GB),
    "the library's most": lambda p: sparse(p, length(100_000_000), TEN_GB),
    "our most, all zeros": lambda p: sparse(p, length(32 << 20), TEN_GB),
    "our most, all brackets": lambda p: (
        p.write_bytes(length(32 << 20) + b"[" * (32 << 20)) and None
    ),
    "a product beyond all": lambda p: p.write_bytes(header([1 << 62] * 8, [0, 1 << 62])),
    "offsets beyond the file": lambda p: p.write_bytes(header([1 << 40], [0, 1 << 41])),
    "negative": lambda p: p.write_bytes(header([-1], [0, -2])),
    "a hundred thousand dimensions": lambda p: (
        p.write_bytes(header([1] * 100_000, [0, 2])) and None
    ),
    "a pipe": os.mkfifo,
    "zeros without end": lambda p: p.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", HEADERS)
def test_hostile_shards(tiny: Path, kind: str, runtime: str) -> None:
    (tiny / SHARD).unlink()
    HEADERS[kind](tiny / SHARD)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = refusal(tiny, runtime)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert SHARD in text and "download" in text
    assert grown * 1024 < MOST_MEMORY


TEXTS: dict[str, Callable[[Path], object]] = {
    "ten GB": lambda p: sparse(p, b"{", TEN_GB),
    "nested": lambda p: p.write_bytes(b"[" * 1_000_000),
    "a key twice": lambda p: p.write_text('{"a": 1, "a": 2}'),
    "a long number": lambda p: p.write_text('{"a": ' + "9" * 5000 + "}"),
    "not a number": lambda p: p.write_text('{"a": NaN}'),
    "a pipe": os.mkfifo,
    "zeros without end": lambda p: p.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json"]
)
def test_hostile_json(tiny: Path, file: str, kind: str) -> None:
    (tiny / file).unlink()
    TEXTS[kind](tiny / file)
    assert file in refusal(tiny, "llama_cpp")


def test_no_reader_of_pickles_is_imported() -> None:
    """The packages that read checkpoints have no call that unpickles or runs remote code."""
    root = Path(__file__).parents[2]
    calls = (
        "torch.load(",
        "pickle.load",
        "joblib.load",
        "trust_remote_code=True",
        "allow_pickle=True",
    )
    for folder in ("build", "runtime", "serve", "demo"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not [call for call in calls if call in text], path
