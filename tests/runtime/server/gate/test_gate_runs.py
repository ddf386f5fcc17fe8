"""When the quality gate runs, and what it does to metrics and the board."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.recorded_answers import RECORD_NAME
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.engine_metrics import EngineMetrics
from gemma4_runtime.server.gate import gate as module
from gemma4_runtime.server.gate import pace
from gemma4_runtime.server.gate.gate import QualityGate
from gemma4_runtime.server.gate.opening import open_gate
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.settings import Settings, load_settings
from gemma4_testing.engine_folders.synthetic_engine import UNPACED, synthetic_engine
from gemma4_testing.fakes.engine_harness import ask
from gemma4_testing.waiting import wait_until

Open = Callable[..., tuple[QualityGate | None, Engine, Board, list[Outcome], EngineMetrics]]


@pytest.fixture
def opened(tmp_path: Path, table: TokenTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """A gate over the synthetic engine, without the pauses that a server makes."""
    monkeypatch.setattr(module, "START_S", 0.0)
    monkeypatch.setattr(module, "QUIET_S", 0.0)
    monkeypatch.setattr(module, "_LOOK_S", 0.01)
    made: list[tuple[QualityGate | None, Engine]] = []

    def build(
        pace: float = UNPACED, *, recorded: bool = True, **options: Any
    ) -> tuple[QualityGate | None, Engine, Board, list[Outcome], EngineMetrics]:
        folder = synthetic_engine(tmp_path / "e", tokens_per_s=pace, slots=1)
        manifest = read_manifest(folder)
        if not recorded:
            files = {name: e for name, e in manifest.files.items() if name != RECORD_NAME}
            manifest = manifest.model_copy(update={"files": files})
        settings = replace(Settings(folder, tmp_path, quality_gate_interval=0.0), **options)
        engine = create_engine(folder, manifest, table, settings)
        board = Board(tmp_path / "board", create=True)
        metrics = EngineMetrics(engine.info, version="1", model_name="m", restarts={})
        outcomes: list[Outcome] = []

        def count(outcome: Outcome) -> None:
            metrics.quality_gate(outcome)
            outcomes.append(outcome)

        gate = open_gate(settings, manifest, engine, board, count)
        made.append((gate, engine))
        return gate, engine, board, outcomes, metrics

    yield build
    for gate, engine in made:
        if gate is not None:
            gate.close()
        engine.close()


def values(metrics: EngineMetrics) -> dict[str, float]:
    return {
        "/".join((family.name, *labels)): value
        for family, _, labels, value in metrics.store.samples()
        if "quality_gate" in family.name
    }


def test_a_sound_engine_passes(opened: Open) -> None:
    _, engine, board, outcomes, metrics = opened()
    wait_until(lambda: bool(outcomes), 10)
    verdict = outcomes[0].verdict
    assert verdict is not None and verdict.agreement == 1.0 and verdict.positions == 96
    found = values(metrics)
    assert found["gemma4_quality_gate_ok"] == found["gemma4_quality_gate_agreement"] == 1
    assert found["gemma4_quality_gate_runs_total/passed"] == 1
    assert abs(found["gemma4_quality_gate_last_run_timestamp_seconds"] - time.time()) < 60
    assert board[Field.GATE_CLOSED] == 0
    assert engine.stats().submitted == engine.stats().generated_tokens == 0


@pytest.mark.parametrize(("mode", "closed"), [("report", 0), ("enforce", 1)])
def test_a_faulty_engine_fails(
    opened: Open, mode: str, closed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    _, _, board, outcomes, metrics = opened(quality_gate=mode, faults={"wrong_at": 5})
    if mode == "enforce":
        assert outcomes, "the first run is over before requests are taken"
    wait_until(lambda: bool(outcomes), 10)
    assert board[Field.GATE_CLOSED] == closed
    found = values(metrics)
    assert found["gemma4_quality_gate_ok"] == 0
    assert found["gemma4_quality_gate_agreement"] == pytest.approx(4 / 16)
    wait_until(lambda: "quality_gate_failed" in capfd.readouterr().err, 5)


def test_it_opens_again_when_a_later_run_passes(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FAILED_AGAIN_S", 0.05)
    _, engine, board, outcomes, _ = opened(quality_gate="enforce", faults={"wrong_at": 1})
    assert board[Field.GATE_CLOSED] == 1
    monkeypatch.setattr(engine, "_faults", type(engine._faults)())  # type: ignore[attr-defined]
    wait_until(lambda: outcomes[-1].result == "passed", 10)
    assert board[Field.GATE_CLOSED] == 0


def test_off_and_a_folder_of_before(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    gate, *_, metrics = opened(quality_gate="off")
    assert gate is None and values(metrics) == {}
    gate, _, board, outcomes, metrics = opened(recorded=False, quality_gate="enforce")
    assert gate is None and board[Field.GATE_CLOSED] == 0
    assert [outcome.result for outcome in outcomes] == ["skipped"]
    assert values(metrics) == {"gemma4_quality_gate_runs_total/skipped": 1}
    assert "run the same `gemma4 build` again" in outcomes[0].reason


def test_a_run_ends_when_it_cannot_pass(opened: Open) -> None:
    """Six answers of 16 tokens: the first wrong one decides."""
    _, engine, _, outcomes, _ = opened(quality_gate="enforce", faults={"wrong_at": 5})
    verdict = outcomes[0].verdict
    assert verdict is not None and (verdict.equal, verdict.positions) == (4, 16)
    assert verdict.reason == "other tokens than the recorded ones"
    assert engine.stats().active == 0


def test_a_day_of_probes(
    opened: Open, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As many runs as in a day at a minute each, one after the other: all pass, the log has one
    line, and nothing grows."""
    monkeypatch.setattr(module, "START_S", 3600.0)
    gate, engine, _, outcomes, metrics = opened(quality_gate_interval=60.0)
    assert gate is not None
    for _ in range(100):
        gate.run_now()
    process = psutil.Process()
    before = process.num_fds(), process.num_threads(), process.memory_info().rss
    for _ in range(1340):
        gate.run_now()
    assert (process.num_fds(), process.num_threads()) == before[:2]
    assert process.memory_info().rss - before[2] < 8 << 20
    assert {outcome.result for outcome in outcomes} == {"passed"} and len(outcomes) == 1440
    assert values(metrics)["gemma4_quality_gate_runs_total/passed"] == 1440
    assert engine.stats().submitted == 0
    wait_until(lambda: "quality_gate_passed" in capfd.readouterr().err, 5)
    time.sleep(0.2)
    assert "quality_gate" not in capfd.readouterr().err


def test_a_user_interrupts_it_and_the_rest_follows(opened: Open) -> None:
    """One slot at 40 tokens/s: an answer of the gate takes 0.4 s, and no user waits for it."""
    gate, engine, _, outcomes, _ = opened(40.0)
    assert gate is not None
    for number in range(3):
        time.sleep(0.5)
        began = time.monotonic()
        user = ask(engine, [300, 301], key=f"user-{number}", max_tokens=1)
        gate.give_way()
        assert user.wait().reason == "length"
        assert time.monotonic() - began < 0.5
    assert not outcomes
    wait_until(lambda: bool(outcomes), 30)
    assert outcomes[0].result == "passed"
    assert engine.stats().submitted == 3


def test_a_drain_ends_it(opened: Open) -> None:
    gate, engine, _, outcomes, _ = opened(2.0)
    assert gate is not None
    time.sleep(0.3)
    began = time.monotonic()
    gate.stop()
    gate.close()
    assert time.monotonic() - began < 0.5
    assert not outcomes and engine.stats().active == 0


def test_a_busy_server_skips_it(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GIVE_UP_S", 0.3)
    monkeypatch.setattr(module, "QUIET_S", 60.0)
    _, _, _, outcomes, _ = opened()
    wait_until(lambda: bool(outcomes), 10)
    assert outcomes[0].result == "skipped" and "never idle" in outcomes[0].reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMMA4_QUALITY_GATE", "on"),
        ("GEMMA4_QUALITY_GATE_INTERVAL", "-1"),
        ("GEMMA4_QUALITY_GATE_INTERVAL", "nan"),
        ("GEMMA4_QUALITY_GATE_INTERVAL", "inf"),
        ("GEMMA4_QUALITY_GATE_INTERVAL", "soon"),
    ],
)
def test_settings_that_are_none(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}='{value}'"):
        load_settings({"GEMMA4_ENGINE_DIR": "/e", name: value})
