"""Servers and gateways that stop under load lose no request and answer none twice. Each request has
an id; what engines began, by their logs, is compared with what clients got. `make test-restarts`
restarts more often."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_testing.endurance.asked import Asked
from gemma4_testing.endurance.restarts import STREAMS, Outcome, rolling, stop_both


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", ["gateway", "Triton"])
def test_100_streams_end_whole_when_both_are_stopped(first: str, tmp_path: Path) -> None:
    outcome = stop_both(tmp_path, first)
    assert outcome.right, str(outcome)
    assert outcome.ends == {"whole": STREAMS, "refused": 10}


@pytest.mark.timeout(600)
def test_a_rolling_restart_loses_nothing(tmp_path: Path) -> None:
    outcome = rolling(tmp_path)
    assert outcome.right, str(outcome)
    assert outcome.tries, "no restart was met"


def line(name: str, tokens: int) -> str:
    return f'{{"event": "request", "request_id": "{name}", "completion_tokens": {tokens}}}'


@pytest.mark.parametrize(
    ("logs", "end", "right"),
    [
        ([[line("a", 5)], []], "whole", True),
        ([[line("a", 0)], [line("a", 5)]], "whole", True),  # refused by the first
        ([[line("a", 2)], [line("a", 5)]], "whole", False),
        ([[line("a", 5), line("a", 5)], []], "whole", False),
        ([[], [line("b", 5)]], "whole", False),
        ([[line("a", 5)], []], "lost", False),
        ([[line("a", 5)], []], "cut", False),
        ([[line("a", 5)], []], "may have begun", False),
    ],
)
def test_what_is_wrong_is_seen(logs: list[list[str]], end: str, right: bool) -> None:
    clients: Any = SimpleNamespace(
        asked=[Asked("a", 5, end=end)],
        ends=lambda: Counter([end, "whole"]),
        tries=Counter,
    )
    servers: Any = [SimpleNamespace(output=output) for output in logs]
    assert Outcome(statuses=[0, 0]).judge(clients, servers).right is right
    assert not Outcome(statuses=[0, 3]).judge(clients, servers).right
