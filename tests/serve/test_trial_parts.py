"""Parts of a trial without a server: its log, its budget, and what a long prompt shows."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gemma4_client import Answer
from gemma4_runtime.manifest import Manifest, read_manifest
from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial import run
from gemma4_serve.doctor.trial.budget import Budget, bounded
from gemma4_serve.doctor.trial.log import KeptLog
from gemma4_serve.doctor.trial.long_prompt import long_prompt
from gemma4_serve.doctor.trial.trial import TEXT, Trial
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine

IN_TEXT = 10
"""Tokens of one sentence for the model that is played here."""


def test_the_log_keeps_both_ends_and_the_trouble() -> None:
    log = KeptLog()
    log.add("the first")
    for i in range(10_000):
        log.add(f"line {i}" + (": WARNING: falling back to CUTLASS" if i == 5000 else ""))
    log.add("x" * 10_000)
    lines = log.lines()
    assert lines[0] == "the first" and len(lines) < 500
    assert any("lines left out" in line for line in lines)
    assert log.end(2) == ["line 9999", "x" * 400]
    assert log.trouble() == ["line 5000: WARNING: falling back to CUTLASS"]


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("[11/29/2026-12:00:00] [TRT-LLM] [W] MoE backend TRTLLM is not supported", True),
        ("[11/29/2026-12:00:00] [TRT-LLM] [I] Max KV cache blocks: 4032", False),
        ("E1129 12:00:00.000000 7 model.cc:1] cannot load it", True),
        ("I1129 12:00:00.000000 7 model.cc:1] loaded", False),
        ("UserWarning: slow", True),
        ("torch: falling back to eager", True),
        ("gate_passed agreement=1.0", False),
    ],
)
def test_what_speaks_of_trouble(line: str, trouble: bool) -> None:
    log = KeptLog()
    log.add(line)
    assert log.trouble() == ([line] if trouble else [])


def test_a_short_log_is_whole() -> None:
    log = KeptLog()
    for i in range(230):
        log.add(str(i))
    assert log.lines() == [str(i) for i in range(230)]


def test_a_check_that_hangs_is_given_up() -> None:
    gave_up = Event()

    def hang() -> Result:
        gave_up.wait(60)
        return Result("hangs", "ok", "after all")

    began = time.monotonic()
    found = bounded("hangs", hang, 0.2, give_up=gave_up.set)
    assert found.level == "fail" and "not finished" in found.detail and gave_up.is_set()
    assert time.monotonic() - began < 10


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> Result:
        raise KeyError("no such figure")

    found = bounded("broken", broken, 60, give_up=lambda: None)
    assert found.level == "fail" and "no such figure" in found.detail


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_engine(tmp_path_factory.mktemp("e") / "engine", tokens_per_s=1000, slots=2)


def test_files_that_take_the_whole_budget(folder: Path) -> None:
    told: list[Result] = []
    (found,) = run.run_trial(
        folder, read_manifest(folder), start_timeout=600, budget=Budget(1), tell=told.append
    )
    assert found.level == "fail" and "budget" in found.detail and told == [found]


class PlayedModel:
    """Answers with the sentence again, up to ``good`` tokens of a prompt; each costs ``cost``
    seconds."""

    def __init__(self, good: int, cost: float = 0.0, says: str = TEXT) -> None:
        self.good, self.cost, self.says = good, cost, says

    def generate(self, text: str, **options: Any) -> Any:
        count = IN_TEXT * len(text.rstrip(".").split(".")) + 1
        time.sleep(self.cost * count)
        ids = list(range(24)) if count <= self.good else [7] * 24
        answer = Answer(text=self.says, ids=ids, prompt_tokens=count)
        return SimpleNamespace(result=lambda: answer)


def asked(model: PlayedModel, manifest: Manifest, **limits: int) -> Result:
    changed = manifest.model_copy(update={"limits": manifest.limits.model_copy(update=limits)})
    trial = SimpleNamespace(manifest=changed, client=lambda: model)
    return long_prompt(cast(Trial, trial))


LONG = {"max_prompt_tokens": 8000, "max_total_tokens": 8192}


@pytest.mark.parametrize(
    ("model", "limits", "level", "says"),
    [
        (PlayedModel(10**6), LONG, "ok", "24 of them"),
        (PlayedModel(1024), LONG, "fail", "0 of them"),
        (PlayedModel(10**6, says="I do not know."), LONG, "info", "proves nothing"),
        (PlayedModel(10**6), LONG | {"max_prompt_tokens": 80}, "info", "not tried"),
        (PlayedModel(10**6, cost=0.001), LONG, "info", "not tried"),
    ],
    ids=["right", "wrong beyond the window", "no answer to judge", "small limit", "slow"],
)
def test_long_prompts(
    folder: Path, model: PlayedModel, limits: dict[str, int], level: str, says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        "gemma4_serve.doctor.trial.long_prompt._MOST_S", 0.05 if model.cost else 40.0
    )
    found = asked(model, read_manifest(folder), **limits)
    assert found.level == level and says in found.detail, found
    if level in ("ok", "fail"):
        assert found.figures["prompt_tokens"] > 7_900
