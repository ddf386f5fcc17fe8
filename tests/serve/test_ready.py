"""When a start counts as over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_serve import process
from gemma4_serve.process import TritonProcess


def test_the_metrics_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton opens their port last; an address that is printed before refuses connections."""
    asked: list[str] = []

    def answers(url: str) -> bool:
        asked.append(url)
        return "metrics" not in url or len(asked) > 6

    for name in ("StartWatch", "Children", "LiveProbe"):
        monkeypatch.setattr(process, name, lambda *_: SimpleNamespace(trouble=lambda _: ""))
    monkeypatch.setattr(process, "close_regions", lambda _: None)
    monkeypatch.setattr(process, "_answers", answers)
    monkeypatch.setattr(process, "_POLL_S", 0.001)
    started: Any = object.__new__(TritonProcess)
    started._process = SimpleNamespace(pid=1, poll=lambda: None)
    started._shm_prefix = "x"
    ports = SimpleNamespace(http=1, metrics=2)
    started._options = SimpleNamespace(
        host="0.0.0.0", http_host="127.0.0.1", ports=ports, run_dir=None
    )
    assert started.wait_ready(20, asked_to_stop=lambda: False)
    assert asked[-1] == "http://127.0.0.1:2/metrics" and len(asked) == 8
