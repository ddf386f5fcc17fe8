"""More than two hundred bombs: each ends, and a canary beside them is served."""

from __future__ import annotations

import time

import pytest
from gemma4_testing.fuzz.bombs import data_bombs
from gemma4_testing.fuzz.feeds import BOMBS
from gemma4_testing.fuzz.known import known_crash
from gemma4_testing.fuzz.run import watched
from gemma4_testing.fuzz.send import PROTOCOLS, NotEndedError, Sender
from gemma4_testing.fuzz.spec import Spec
from gemma4_testing.servers.served import Served

DATA = data_bombs()
MODEL_OF = {"http infer": "gemma4_unary", "http generate": "gemma4", "grpc stream": "engine"}


def test_there_are_many() -> None:
    assert len(DATA) >= 150
    assert len(BOMBS) >= 50


def test_none_is_left_out_but_nesting() -> None:
    """A million brackets in a string, which the HTTP front end does not read."""
    assert {known_crash(spec) for spec in DATA.values()} <= {None, "JSON nested without end"}


@pytest.mark.parametrize("protocol", MODEL_OF)
def test_data_bombs(target: Served, protocol: str) -> None:
    failures, slowest = [], []
    with watched(target) as canary, Sender(target.http, target.grpc) as sender:
        for number, (name, spec) in enumerate(DATA.items()):
            aimed = Spec(
                MODEL_OF[protocol], spec.inputs, spec.outputs, spec.id, "", spec.parameters
            )
            before = len(canary.seconds)
            try:
                ended = PROTOCOLS[protocol](sender, aimed, 2 * number + 1)
                if protocol == "grpc stream" and ended.ends != 1 and not ended.error:
                    failures.append(f"{name}: {ended}")
            except (AssertionError, NotEndedError) as error:
                failures.append(f"{name}: {error}")
            slowest += [(seconds, name) for seconds in canary.seconds[before:]]
    assert failures == []
    worst = ", ".join(f"{name} {s * 1000:.0f} ms" for s, name in sorted(slowest)[-3:])
    print(f"\n{protocol}: {len(DATA)} bombs, canary p99 {canary.p99 * 1000:.0f} ms ({worst})")


@pytest.mark.parametrize("name", BOMBS)
def test_connection_bombs(target: Served, name: str) -> None:
    with watched(target) as canary:
        began = time.monotonic()
        BOMBS[name](target)
        lasted = time.monotonic() - began
    # Triton serves in the order of arrival, so a flood of thousands holds others up for its length.
    assert max(canary.seconds, default=0) < max(10, 1.2 * lasted)
