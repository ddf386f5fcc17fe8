"""Write safetensors files piece by piece: a header first, then the data in its order.

The ``safetensors`` library writes whole tensors; these writers never hold one. The format is said
in :mod:`gemma4_build.shards`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

__all__ = ["header"]


def header(tensors: Iterable[tuple[str, str, tuple[int, ...], int]]) -> bytes:
    """Return the bytes before the data. ``tensors``: (name, type, shape, bytes), in the data's
    order."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dtype, shape, nbytes in tensors:
        end = at + nbytes
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
