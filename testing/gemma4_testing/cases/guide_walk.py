"""Random answers to a guide: a walk through what its matcher allows."""

from __future__ import annotations

import random

from gemma4_runtime.guides.matchers import Matcher
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["walk"]

_TIERS = (tuple(b'"}]'), tuple(b"@./:=#"), tuple(range(0x21, 0x7F)))
"""Of single characters: what may end a value, what moves it on, the rest."""
_FREE_STEPS = 25
_STEPS = 250


def walk(matcher: Matcher, table: TokenTable, seed: int, start: bytes = b"") -> bytes | None:
    """A whole answer that begins with ``start``; None when it did not end. Ends are sought after
    some steps: random text in a string would go on."""
    choose = random.Random(seed)
    end = table.pieces.index(b"<turn|>")
    tiers = [
        {token for token, piece in enumerate(table.pieces) if len(piece) == 1 and piece[0] in tier}
        for tier in _TIERS
    ]
    tokens = {table.pieces[token][0]: token for token in table.byte_ids} | table.letters()
    assert not start or matcher.consume([tokens[byte] for byte in start])
    out, free = start, -1 if start else _FREE_STEPS
    for step in range(_STEPS):
        allowed = [] if matcher.is_stopped() else _bits(matcher.mask())
        assert not matcher.error(), matcher.error()
        if end in allowed and (len(allowed) == 1 or step > free or choose.random() < 0.3):
            return out
        allowed = [token for token in allowed if token != end]
        if not allowed:
            assert matcher.is_accepting(), out
            return out
        if step > free:
            kept = [[token for token in allowed if token in tier] for tier in tiers]
            allowed = kept[0] or (kept[1] if choose.random() < 0.5 else []) or kept[2] or allowed
        token = choose.choice(allowed)
        assert matcher.consume([token])
        out += table.pieces[token]
    return None


def _bits(mask: int) -> list[int]:
    data = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
    return [
        at * 8 + bit for at, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1
    ]
