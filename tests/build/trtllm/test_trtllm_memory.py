"""Where quantizing may run, and what it says where it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_build import errors
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.trtllm import memory
from gemma4_build.trtllm.layerwise.need import FIXED, QuantizeNeed

GIB = 1 << 30
NEED = QuantizeNeed(layer=4 * GIB, states=GIB, attention=2 * GIB, gpu_attention=2 * GIB)


def machine(monkeypatch: pytest.MonkeyPatch, host: float, *gpus: float) -> None:
    """Free GiB."""
    monkeypatch.setattr(memory, "available_memory", lambda: int(host * GIB))
    monkeypatch.setattr(memory, "free_gpu_memory", lambda: [int(gpu * GIB) for gpu in gpus])


@pytest.mark.parametrize(
    ("host", "gpus", "asked", "device"),
    [
        (9, (), "auto", "cpu"),
        (9, (), "cpu", "cpu"),
        (9, (20,), "cpu", "cpu"),
        (7, (8,), "auto", "cuda:0"),
        (7, (5, 24, 20), "auto", "cuda:1"),
        (7, (8,), "cuda", "cuda:0"),
        (9, (7,), "auto", "cpu"),
    ],
)
def test_choice(
    host: int, gpus: tuple[int, ...], asked: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, host, *gpus)
    assert FIXED == 1.5 * GIB
    assert memory.choose_device(asked, NEED) == device


@pytest.mark.parametrize(
    ("host", "gpus", "asked", "words"),
    [
        (8, (), "auto", "needs 8.5 GiB of memory"),
        (8, (), "auto", "8.0 GiB is free here and no GPU has enough"),
        (8, (7,), "cpu", "a layer 4.0 GiB, activations 1.0 GiB, attention .* 2.0 GiB"),
        (8, (), "cuda", "none found"),
        (9, (7,), "cuda", "7.5 GiB of GPU memory.* 7.0 GiB is free on the best one"),
        (6, (24,), "cuda", "7.0 GiB of host memory, 6.0 GiB is free"),
        (6, (24,), "auto", "--calibration-samples"),
    ],
)
def test_refusals(
    host: int, gpus: tuple[int, ...], asked: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, host, *gpus)
    with pytest.raises(errors.TooLittleMemoryError, match=words):
        memory.choose_device(asked, NEED)


@pytest.mark.parametrize(
    ("asked", "words"), [("auto", r"1\.6 GiB.*here and no GPU"), ("cuda", r"1\.7 GiB.*none found")]
)
def test_too_little_memory_is_seen_first(
    asked: str, words: str, demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, 1)
    request = BuildRequest(
        checkpoint=demo_checkpoint, out=tmp_path / "engine", runtime="tensorrt_llm",
        precision="fp8", trtllm=GpuOptions(device=asked),
    )  # fmt: skip
    with pytest.raises(errors.TooLittleMemoryError, match=words):
        build_engine(request, SilentReporter())
    assert not list(tmp_path.iterdir())


def test_long_texts_count(demo_checkpoint: Path, tmp_path: Path) -> None:
    """Attention over the longest text, and the activations of all."""
    text = "The quick brown fox jumps over the lazy dog. " * 4000
    file = tmp_path / "c.jsonl"
    file.write_text(f'{{"text": "{text}"}}\n')
    request = BuildRequest(
        checkpoint=demo_checkpoint, out=tmp_path / "engine", runtime="tensorrt_llm",
        precision="fp8", trtllm=GpuOptions(calibration=file, calibration_length=60_000),
    )  # fmt: skip
    with pytest.raises(errors.TooLittleMemoryError, match="--calibration-length"):
        build_engine(request, SilentReporter())
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]
