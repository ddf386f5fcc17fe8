"""The engine without a model: its pace, its faults and its end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from gemma4_runtime.engines.synthetic import Faults, SyntheticEngine
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.output.vocab import TokenTable
from gemma4_testing.fakes.engine_harness import ask


def synthetic(table: TokenTable, **options: Any) -> SyntheticEngine:
    return SyntheticEngine(
        slots=2,
        max_queued=5,
        max_total_tokens=5000,
        vocab_size=500,
        special_ids=table.special,
        **options,
    )


def test_drain_and_close(table: TokenTable) -> None:
    engine = synthetic(table, interval_s=0.001)
    running = ask(engine, [300, 301], key="a", max_tokens=20)
    long = ask(engine, [300], key="b", max_tokens=4000)
    engine.drain()
    with pytest.raises(RequestError, match="draining") as caught:
        ask(engine, [300], key="c")
    assert caught.value.code == Code.DRAINING
    assert running.wait().reason == "length"
    assert running.ids == [300, 301] * 10
    engine.close()
    assert long.wait().reason == "cancelled"


def test_synthetic_faults(table: TokenTable) -> None:
    engine = synthetic(table, faults=Faults(fail_at=4))
    sink = ask(engine, [300], max_tokens=10)
    assert isinstance(sink.wait(), RequestError)
    assert len(sink.ids) == 3
    engine.close()


def test_synthetic_steps_of_several_tokens(table: TokenTable) -> None:
    engine = synthetic(table, interval_s=0.02, tokens_per_step=4)
    started = time.monotonic()
    sink = ask(engine, [300, 301, 302], max_tokens=10)
    assert sink.wait().reason == "length"
    assert time.monotonic() - started >= 3 * 4 * 0.02
    assert sink.sizes == [4, 4, 2]
    assert sink.ids == [300, 301, 302] * 3 + [300]
    engine.close()
