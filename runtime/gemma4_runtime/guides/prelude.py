"""What a guide leaves free: thoughts, and calls of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.messages import Prelude
from gemma4_runtime.output.vocab import ControlIds

__all__ = ["check_tool_options", "markers", "read_prelude"]

_CHOICES = ("auto", "none")


def check_tool_options(values: Mapping[str, Any]) -> None:
    """Raise INVALID_ARGUMENT for a ``tool_choice`` or ``parallel_tool_calls`` that says nothing."""
    choice = values.get("tool_choice", "auto")
    if choice not in _CHOICES:
        raise invalid(
            Code.INVALID_VALUE,
            "tool_choice",
            f"{choice!r} is not one of {', '.join(_CHOICES)}; to force a call, ask for its "
            "arguments with a guide and none",
        )
    if choice == "none" and "guided_decoding_guide_type" not in values:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            "tool_choice", "none keeps calls out of a guided answer and needs a guide; without "
            "one, leave tools out", other="guided_decoding_guide_type"
        )  # fmt: skip
    if "parallel_tool_calls" in values and "tools" not in values:
        raise invalid(Code.CONFLICTING_INPUTS, "parallel_tool_calls", "needs tools", other="tools")


def read_prelude(
    values: Mapping[str, Any],
    tools: Sequence[str],
    *,
    thought: Literal["none", "may", "open"],
) -> Prelude | None:
    """Read what comes before the guide of a request. None: the guide binds the answer from its
    first token."""
    called = tuple(tools) if values.get("tool_choice", "auto") == "auto" else ()
    return Prelude(thought, called) if called or thought != "none" else None


def markers(prelude: Prelude | None, control: ControlIds) -> set[int]:
    """Return the ids of the control tokens that an answer may have around its guide."""
    if prelude is None:
        return set()
    found = set()
    if prelude.thought != "none":
        found |= {control.think_open, control.think_close}
    if prelude.tools:
        found |= {control.call_open, control.call_close, control.quote, control.response_open}
    return found
