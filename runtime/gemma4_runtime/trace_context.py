"""W3C Trace Context: which trace a request belongs to, on its way from client to engine.

https://www.w3.org/TR/trace-context/. Between client and Triton the two fields are parameters of the
request, under the names of the headers: Triton passes parameters to every step of an ensemble, and
to a model that is called directly. ``request.trace()`` of its Python backend has a context only
while Triton itself sends traces, whose settings are closed here (docs/security.md).

Nothing here raises: a context that is wrong is no context, as W3C wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["TRACE_FIELDS", "TraceContext", "read_trace", "trace_context", "trace_fields"]

_PARENT, _STATE = "traceparent", "tracestate"
TRACE_FIELDS = frozenset({_PARENT, _STATE})
"""Names in small letters. Those of headers that Triton made parameters of have any case."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?", re.ASCII)
_LONGEST_PARENT = 512
"""Characters of a ``traceparent``. Version 00 has 55; later ones may have more."""
_LONGEST_STATE = 512
"""Characters of a ``tracestate`` that every participant takes; a longer one is left out."""
_MOST_MEMBERS = 32
"""Members of a ``tracestate``."""
_KEY = r"(?:[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_SAMPLED = 1
"""Bit of the flags of a ``traceparent``."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """``parent`` is a valid ``traceparent`` of version 00; ``state`` a valid ``tracestate``, or
    ""."""

    parent: str
    state: str = ""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits: the span that made the request."""
        return self.parent[36:52]

    @property
    def sampled(self) -> bool:
        """Whether the client records its part of the trace."""
        return bool(int(self.parent[53:], 16) & _SAMPLED)


def trace_context(parent: object, state: object = "") -> TraceContext | None:
    """Return the context of these two fields, whatever they are; None when ``parent`` is not
    valid. A ``state`` that is not valid is left out."""
    if not isinstance(parent, str) or len(parent) > _LONGEST_PARENT:
        return None
    found = _FORM.fullmatch(parent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    if version == "00":
        if more is not None:
            return None
    else:  # what later versions add to 00 is not known; the sampled flag stays
        flags = f"{int(flags, 16) & _SAMPLED:02x}"
    return TraceContext(f"00-{trace_id}-{span_id}-{flags}", _valid_state(state))


def read_trace(fields: Mapping[str, object]) -> TraceContext | None:
    """Return the context in parameters or headers with unique names; None without a valid one."""
    found: dict[str, object] = {}
    for name, value in fields.items():
        if len(name) == len(_PARENT) or len(name) == len(_STATE):
            small = name.lower()
            if small in TRACE_FIELDS:
                found[small] = value
    if _PARENT not in found:
        return None
    return trace_context(found[_PARENT], found.get(_STATE, ""))


def trace_fields(trace: TraceContext | None) -> dict[str, str]:
    """Return ``trace`` as headers or parameters; {} for None."""
    if trace is None:
        return {}
    return {_PARENT: trace.parent} | ({_STATE: trace.state} if trace.state else {})


def _valid_state(state: object) -> str:
    if not isinstance(state, str) or not state or len(state) > _LONGEST_STATE:
        return ""
    members = [member for part in state.split(",") if (member := part.strip(" \t"))]
    return ",".join(members) if _is_valid(members) else ""


def _is_valid(members: Iterable[str]) -> bool:
    keys: set[str] = set()
    for member in members:
        found = _MEMBER.fullmatch(member)
        if found is None or found[1] in keys:
            return False
        keys.add(found[1])
    return len(keys) <= _MOST_MEMBERS
