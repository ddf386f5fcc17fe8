"""Where a byte string may be cut so that decoding the parts equals decoding the whole."""

from __future__ import annotations

__all__ = ["unfinished_tail"]

_LONGEST_PREFIX = 3
"""Bytes of a UTF-8 character that may lack its last one: a character has at most four."""


def _needed(lead: int) -> int:
    """Return the length of the sequence that ``lead`` starts; 0 when it starts none (RFC 3629)."""
    if 0xC2 <= lead <= 0xDF:
        return 2
    if 0xE0 <= lead <= 0xEF:
        return 3
    if 0xF0 <= lead <= 0xF4:
        return 4
    return 0


def _second_ok(lead: int, second: int) -> bool:
    """Return whether a second byte may follow (Unicode 15, table 3-7): some leads narrow the range
    of the second byte."""
    low, high = {
        0xE0: (0xA0, 0xBF),
        0xED: (0x80, 0x9F),
        0xF0: (0x90, 0xBF),
        0xF4: (0x80, 0x8F),
    }.get(lead, (0x80, 0xBF))
    return low <= second <= high


def unfinished_tail(data: bytes | bytearray) -> int:
    """Return the number of bytes (0 to 3) at the end of ``data`` that are a proper prefix of a
    UTF-8 sequence, so that what follows may complete them. Everything before decodes with
    ``errors="replace"`` to the same text alone as with any continuation."""
    for length in range(1, min(_LONGEST_PREFIX, len(data)) + 1):
        lead = data[-length]
        if lead & 0xC0 == 0x80:
            continue
        if _needed(lead) <= length:
            return 0
        if length > 1 and not _second_ok(lead, data[-length + 1]):
            return 0
        return length
    return 0
