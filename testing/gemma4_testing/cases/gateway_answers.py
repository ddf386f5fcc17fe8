"""Answers as the gateway gets them, made by hand or by hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gemma4_client import Delta
from hypothesis import strategies as st

__all__ = ["LISTED", "NATIVE", "answers", "cuts", "delta"]

NATIVE = [
    {"id": f"call_{i}", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    for i in range(3)
]


LISTED = '[{"name": "f", "arguments": {"a": "é"}}, {"name": "g", "arguments": {}}]'


def delta(
    text: str = "",
    *,
    reasoning: str = "",
    calls: list[dict[str, Any]] | tuple[Any, ...] = (),
    finish: str = "",
    index: int = 0,
    ids: tuple[Any, ...] = (),
    log_probs: tuple[Any, ...] = (),
) -> Delta:
    return Delta(text, reasoning, list(calls), finish, index, 7, index + 1, list(ids),
                 list(log_probs), {"cached_tokens": 3.0} if finish else None)  # fmt: skip


@st.composite
def answers(draw: Callable[..., Any]) -> list[Delta]:
    texts = st.text(max_size=12)
    pieces = draw(st.lists(st.tuples(texts, texts, st.integers(0, 2)), min_size=1, max_size=8))
    finish = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    return [
        delta(t, reasoning=r, calls=NATIVE[:c], finish=finish if i == len(pieces) - 1 else "", index=i)
        for i, (t, r, c) in enumerate(pieces)
    ]  # fmt: skip


def cuts(text: str) -> Any:
    return st.lists(st.integers(0, len(text)), max_size=5).map(
        lambda at: [text[a:b] for a, b in zip([0, *sorted(at)], [*sorted(at), None], strict=True)]
    )
