"""JSON Schema's ``format`` as regular expressions.

Engines know few formats, and each knows others: one that the engine does not know would be dropped
or refused there. So every format becomes a ``pattern``. A pattern may allow less than the standard,
never more: what it lets through is accepted by those who read the answer.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ANNOTATIONS", "INTEGERS", "PATTERNS"]


def _any(*parts: str) -> str:
    return "(?:" + "|".join(parts) + ")"


_YEAR = _any("[1-9][0-9]{3}", "0[1-9][0-9]{2}", "00[1-9][0-9]", "000[1-9]")
_LEAP_YEAR = _any(
    "[0-9]{2}" + _any("0[48]", "[2468][048]", "[13579][26]"),
    _any("0[48]", "[2468][048]", "[13579][26]") + "00",
)
_DATE = _any(
    f"{_YEAR}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    f"{_YEAR}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    f"{_YEAR}-02-(?:0[1-9]|1[0-9]|2[0-8])",
    f"{_LEAP_YEAR}-02-29",
)
_TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_CLOCK = "T" + _any("[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?", "[0-9]+M(?:[0-9]+S)?", "[0-9]+S")
_DAYS = _any("[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?", "[0-9]+M(?:[0-9]+D)?", "[0-9]+D")
_DURATION = "P" + _any(f"{_DAYS}(?:{_CLOCK})?", _CLOCK, "[0-9]+W")

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_H = "[0-9A-Fa-f]{1,4}"
_IPV6 = _any(
    f"(?:{_H}:){{7}}{_H}",
    *(
        f"(?:{_H}(?::{_H}){{0,{6 - after}}})?::"
        + (f"{_H}(?::{_H}){{{after - 1}}}" if after else "")
        for after in range(7)
    ),
)
_BITS_4, _BITS_6 = "(?:3[0-2]|[12]?[0-9])", "(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"

_HEX = "[0-9A-Fa-f]"
_ENCODED = f"%{_HEX}{{2}}"


def _uri(more: str, *, relative: bool) -> str:
    """Return a pattern of RFC 3986; ``more`` characters than its own may stand for themselves."""
    plain = rf"A-Za-z0-9._~!$&'()*+,;=\-{more}"
    char = f"(?:[{plain}:@]|{_ENCODED})"
    host = _any(rf"\[{_IPV6}\]", f"(?:[{plain}]|{_ENCODED})+")
    authority = f"//(?:(?:[{plain}:]|{_ENCODED})*@)?{host}(?::[0-9]{{1,5}})?(?:/{char}*)*"
    tail = rf"(?:\?(?:{char}|[/?])*)?(?:#(?:{char}|[/?])*)?"
    absolute = f"/(?:{char}+(?:/{char}*)*)?"
    whole = "[A-Za-z][A-Za-z0-9+.-]*:" + _any(authority, absolute, f"{char}+(?:/{char}*)*") + tail
    if not relative:
        return whole
    first = f"(?:[{plain}@]|{_ENCODED})+(?:/{char}*)*"
    return _any(whole, f"{_any(authority, absolute, first)}?{tail}")


_IRI = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"


def _uuid(version: str) -> str:
    return f"{_HEX}{{8}}-{_HEX}{{4}}-{version}{_HEX}{{3}}-[89ABab]{_HEX}{{3}}-{_HEX}{{12}}"


_POINTER = "(?:/(?:[^/~]|~[01])*)*"
_BASE64 = "[A-Za-z0-9+/]"
_BASE64_URL = "[A-Za-z0-9_-]"


def _base64(char: str) -> str:
    return f"(?:{char}{{4}})*(?:{char}{{2}}==|{char}{{3}}=)?"


_UNANCHORED = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": _DURATION,
    "email": _EMAIL,
    "idn-email": _EMAIL,
    "hostname": _HOST,
    "idn-hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "ipvanyaddress": _any(_IPV4, _IPV6),
    "ipv4interface": f"{_IPV4}/{_BITS_4}",
    "ipv6interface": f"{_IPV6}/{_BITS_6}",
    "ipvanyinterface": _any(f"{_IPV4}/{_BITS_4}", f"{_IPV6}/{_BITS_6}"),
    "uri": _uri("", relative=False),
    "url": _uri("", relative=False),
    "multi-host-uri": _uri("", relative=False),
    "uri-reference": _uri("", relative=True),
    "iri": _uri(_IRI, relative=False),
    "iri-reference": _uri(_IRI, relative=True),
    "uuid": f"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}",
    **{f"uuid{version}": _uuid(str(version)) for version in (1, 3, 4, 5, 6, 7, 8)},
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
    "byte": _base64(_BASE64),
    "base64": _base64(_BASE64),
    "base64url": _base64(_BASE64_URL),
}
PATTERNS = {name: f"^(?:{pattern})$" for name, pattern in _UNANCHORED.items()}
"""Of strings, in what ECMA-262 and Rust's regular expressions have in common. JSON Schema's own
formats, OpenAPI's ``byte`` and pydantic's. The ``idn`` ones allow ASCII only."""

INTEGERS: dict[str, dict[str, Any]] = {
    **{
        f"int{bits}": {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
        for bits in (8, 16, 32)
    },
    **{f"uint{bits}": {"minimum": 0, "maximum": 2**bits - 1} for bits in (8, 16, 32)},
    # The doubles nearest to the limits, within them.
    "int64": {"minimum": 1024 - 2**63, "maximum": 2**63 - 1024},
    "uint64": {"minimum": 0, "maximum": 2**64 - 2048},
}
"""Of numbers, OpenAPI's."""

ANNOTATIONS = frozenset(
    ("password", "binary", "path", "file-path", "directory-path", "string", "float", "double")
)
"""Formats that say nothing about the value itself."""
