"""When a start counts as over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_serve import process
from gemma4_serve.process import TritonProcess


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that starts. Give ``process._answers`` what its addresses say."""
    for name in ("StartWatch", "Children", "LiveProbe"):
        monkeypatch.setattr(process, name, lambda *_: SimpleNamespace(trouble=lambda _: ""))
    monkeypatch.setattr(process, "close_regions", lambda _: None)
    monkeypatch.setattr(process, "_POLL_S", 0.001)
    server: Any = object.__new__(TritonProcess)
    server._process = SimpleNamespace(pid=1, poll=lambda: None)
    server._shm_prefix = "x"
    ports = SimpleNamespace(http=1, metrics=2)
    server._options = SimpleNamespace(
        host="0.0.0.0", http_host="127.0.0.1", ports=ports, run_dir=None
    )
    return server


def test_the_metrics_are_waited_for(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton opens their port last; an address that is printed before refuses connections."""
    asked: list[str] = []

    def answers(url: str) -> bool:
        asked.append(url)
        return "metrics" not in url or len(asked) > 6

    monkeypatch.setattr(process, "_answers", answers)
    assert started.wait_ready(20, asked_to_stop=lambda: False)
    assert asked[-1] == "http://127.0.0.1:2/metrics" and len(asked) == 8


@pytest.mark.parametrize("serves", [False, True])
def test_a_start_is_broken_off_only_before_it_takes_requests(
    started: Any, monkeypatch: pytest.MonkeyPatch, serves: bool
) -> None:
    """Between the first request that Triton takes and the supervisor's next look, or its metrics,
    a stop has to drain."""
    monkeypatch.setattr(process, "_answers", lambda url: serves and "metrics" not in url)
    assert started.wait_ready(20, asked_to_stop=lambda: True) is serves


def test_a_request_just_before_the_stop_is_seen(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server becomes ready, and answers, while the supervisor is asked whether to stop."""
    serving: list[bool] = []

    def asked_to_stop() -> bool:
        serving.append(True)
        return True

    monkeypatch.setattr(process, "_answers", lambda url: bool(serving))
    assert started.wait_ready(20, asked_to_stop=asked_to_stop)
