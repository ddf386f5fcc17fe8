"""What is wrong in a catalog: the place, the value, and what our own catalog has there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from gemma4_runtime.one_line import one_line

__all__ = ["explain"]

_MOST_SHOWN = 60
"""Characters of a wrong value that are shown."""
_LOOK = "`gemma4 plan catalog --yaml` shows the form"


def explain(wrong: Any, own: Mapping[str, Any]) -> str:
    """Return one line about an error of pydantic; ``own`` is our catalog, as it is read."""
    place = [part for part in wrong["loc"] if part != "[key]"]
    text = f"{'.'.join(map(str, place)) or 'the file'}: {wrong['msg']}"
    example = _example(place, own)
    if wrong["type"] == "extra_forbidden":
        return f"{text}; leave it out, or mend its name"
    if wrong["type"] == "missing":
        return f"{text}; {example or _LOOK}. A figure without a source is left out as a whole"
    value = one_line(repr(wrong["input"]))
    shown = value if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]}..."
    return f"{text}, and is {shown}; {example or _LOOK}"


def _example(place: Sequence[Any], own: Mapping[str, Any]) -> str:
    """Return what the same GPU has there in ``own``, or else the first that has it; "" where it has
    nothing."""
    if len(place) < 3 or place[0] != "gpus":
        found = _at(own, place)
        return "" if found is None else f"ours is {found}"
    for name in (place[1], *own["gpus"]):
        found = _at(own, ["gpus", name, *place[2:]])
        if found is not None:
            return f"ours of {name} is {found}"
    return ""


def _at(own: Any, place: Sequence[Any]) -> object:
    for part in place:
        own = own.get(part) if isinstance(own, Mapping) else None
    return own if place and isinstance(own, str | int | float | date) else None
