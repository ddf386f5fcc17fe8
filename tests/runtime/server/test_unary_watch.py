"""A client that leaves is seen once, and nobody is asked after the block."""

from __future__ import annotations

from threading import Event

from gemma4_runtime.server.gemma4_unary import ClientWatch


def test_a_client_that_leaves_is_reported_once() -> None:
    told, seen = [], Event()

    def gone() -> None:
        told.append("gone")
        seen.set()

    with ClientWatch(lambda: True, gone, interval=0.001):
        assert seen.wait(5)
    assert told == ["gone"]


def test_nothing_is_asked_after_the_block() -> None:
    asked, first = [], Event()

    def is_gone() -> bool:
        asked.append(1)
        first.set()
        return False

    with ClientWatch(is_gone, lambda: asked.append("told"), interval=0.001):  # type: ignore[arg-type]
        assert first.wait(5)
    count = len(asked)
    assert not Event().wait(0.02)
    assert len(asked) == count and "told" not in asked  # type: ignore[comparison-overlap]
