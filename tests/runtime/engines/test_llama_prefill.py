"""The prefill batch of llama.cpp: measured, remembered, and what a cancel waits for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp import loading
from gemma4_runtime.engines.llama_cpp.prefill import BatchMemory, fitting_batch, measure_prefill
from gemma4_runtime.manifest import Manifest, read_manifest

DEMO = Path("demo/checkpoint").resolve()
PROMPT = [600 + i * 17 % 900 for i in range(200)]


@pytest.mark.parametrize(
    ("rate", "batch"),
    [(0.1, 4), (9.7, 4), (12.8, 4), (20.0, 8), (30.0, 8), (100.0, 32), (200.0, 64), (1e6, 128)],
)
def test_a_batch_takes_the_time_that_a_cancel_may_wait(rate: float, batch: int) -> None:
    assert fitting_batch(rate) == batch
    assert batch in (4, 128) or 0.2 < batch / rate <= 0.4


class Clockwork:
    """A server that takes ``each`` seconds for a token, and its clock."""

    def __init__(self, each: float) -> None:
        self._each = each
        self.now = 0.0
        self.prompts: list[list[int]] = []

    def handle_completions(self, body: bytes, callback: Any) -> None:
        asked = orjson.loads(body)
        assert asked["cache_prompt"] is False, "a cached prompt measures nothing"
        self.prompts.append(asked["prompt"])
        self.now += self._each * len(asked["prompt"])


@pytest.mark.parametrize("rate", [2.0, 12.8, 100.0, 5000.0])
def test_a_second_of_prompts_is_measured(rate: float) -> None:
    server = Clockwork(1 / rate)
    found = measure_prefill(server, batch=8, vocab_size=1000, longest=64, clock=lambda: server.now)
    assert found == pytest.approx(rate)
    assert 1.0 <= server.now < 1.0 + 32 / rate
    assert all(len(ids) == 32 and max(ids) < 1000 for ids in server.prompts)


def test_what_was_measured_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "prefill.json"
    BatchMemory(file).put("a", 16)
    assert BatchMemory(file).get("a") == 16 and BatchMemory(file).get("b") is None
    for i in range(100):
        BatchMemory(file).put(str(i), 8)
    assert len(json.loads(file.read_bytes())) == 64
    assert BatchMemory(file).get("a") is None and BatchMemory(file).get("99") == 8


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": "16"}', '{"a": 3}', '{"a": 4096}', '{"a": true}']
)
def test_a_damaged_memory_is_measured_again(text: str, tmp_path: Path) -> None:
    (tmp_path / "prefill.json").write_text(text)
    memory = BatchMemory(tmp_path / "prefill.json")
    assert memory.get("a") is None
    memory.put("a", 32)
    assert memory.get("a") == 32


def test_a_measurement_holds_for_one_model_on_one_machine_with_the_same_options() -> None:
    same: dict[str, Any] = {"version": "1", "threads": 2, "slots": 2}
    keys = {
        BatchMemory.key(10, **same), BatchMemory.key(11, **same),
        BatchMemory.key(10, **same | {"version": "2"}), BatchMemory.key(10, **same | {"threads": 1}),
        BatchMemory.key(10, **same | {"slots": 1}),
    }  # fmt: skip
    assert len(keys) == 5
    assert BatchMemory.key(10, **same) in keys


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An engine folder whose batch the machine measures."""
    tmp = tmp_path_factory.mktemp("prefill")
    write_checkpoint(tmp / "c", replace(PRESETS["tiny"], layers=3), tokenizer=DEMO, vision=False)
    request = BuildRequest(
        checkpoint=tmp / "c", out=tmp / "e", precision="int8", slots=1, max_total_tokens=256,
        skip_verify=True,
    )  # fmt: skip
    build_engine(request, SilentReporter())
    yield tmp / "e"


def steps(server: Any, *, cancel_at: int | None = None, first: int = PROMPT[0]) -> list[int]:
    """The prompt tokens that had been computed at each sign of progress. ``first`` is the token that
    the prompt begins with."""
    seen: list[int] = []

    def on_event(data: bytes) -> bool:
        if progress := orjson.loads(data).get("prompt_progress"):
            seen.append(progress["processed"])
        return cancel_at is not None and len(seen) >= cancel_at

    body = {
        "prompt": [first, *PROMPT[1:]], "stream": True, "return_progress": True, "n_predict": 1,
        "cache_prompt": True,
    }  # fmt: skip
    server.handle_completions(orjson.dumps(body), on_event)
    return seen


def load(folder: Path, memory: BatchMemory) -> Any:
    manifest = read_manifest(folder)
    options = manifest.llama_cpp
    assert options is not None
    return loading.load_measured(
        folder / "model.gguf", info(manifest), options, 1, remembered=memory
    )


def info(manifest: Manifest) -> EngineInfo:
    return EngineInfo("llama_cpp", "", manifest.precision, 1, 0, 256, manifest.model.vocab_size)


def test_the_measured_batch_is_the_one_that_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SMALL_MODEL", 0)
    measured: list[float] = []

    def rate(*args: Any, **options: Any) -> float:
        measured.append(measure_prefill(*args, **options))
        return 45.0

    monkeypatch.setattr(loading, "measure_prefill", rate)
    memory = BatchMemory(tmp_path / "prefill.json")
    states = iter([True, False])
    monkeypatch.setattr(loading, "busy", lambda: next(states))
    for _ in range(3):
        server = load(folder, memory)
        done = steps(server)
        assert max(b - a for a, b in pairwise(done)) == 16
        del server
    assert len(measured) == 2 and min(measured) > 0, "busy, then idle, then remembered"


def test_a_cancel_waits_for_one_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed when it had been seen is in the prompt cache: one more batch at most. The
    engine goes on until the cancel reaches it, so the shortest way of some counts on a busy
    machine."""
    monkeypatch.setattr(loading, "SMALL_MODEL", 0)
    monkeypatch.setattr(loading, "measure_prefill", lambda *args, **options: 45.0)
    server = load(folder, BatchMemory(tmp_path / "prefill.json"))

    def computed_after(first: int) -> int:
        at = steps(server, cancel_at=2, first=first)[-1]
        assert at < len(PROMPT) / 2
        return steps(server, first=first)[0] - at

    assert any(computed_after(700 + i) <= 2 * 16 for i in range(20))


def test_a_batch_that_the_user_chose_is_kept(folder: Path, tmp_path: Path) -> None:
    request = BuildRequest(
        checkpoint=folder.parent / "c", out=tmp_path / "e", precision="int8", slots=1,
        max_total_tokens=256, skip_verify=True, prefill_batch=32,
    )  # fmt: skip
    options = build_engine(request, SilentReporter()).manifest.llama_cpp
    assert options is not None and (options.micro_batch, options.measured) == (32, False)
    chosen = read_manifest(folder).llama_cpp
    assert chosen is not None and chosen.measured
