"""The work itself, for the preparation process and its children."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.messages import encode
from gemma4_runtime.preparation.wire import Work

__all__ = ["KnownGuides", "Worker", "ids_of"]

_IDS = "i"
"""int32, of :mod:`array`."""


def ids_of(data: bytes) -> list[int]:
    """Return the token ids of an answer to Work of kind "tokens"."""
    return array(_IDS, data).tolist()


class KnownGuides:
    """Guides that were compiled with success, by their hashes; the least used are forgotten."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, values: object) -> bool:
        key = _digest(values)
        if key not in self._known:
            return False
        self._known.move_to_end(key)
        return True

    def add(self, values: Mapping[str, Any]) -> None:
        self._known[_digest(values)] = None
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _digest(values: Any) -> bytes:
    kind = values.get("guided_decoding_guide_type", "")
    guide = values.get("guided_decoding_guide", "")
    return hashlib.blake2b(f"{kind}\0{guide}".encode(), digest_size=16).digest()


class Worker:
    """Prepares with the tokenizer and template of an engine folder."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer
        self.known = KnownGuides()

    def prepare(self, work: Work, step: Callable[[str], None]) -> bytes:
        """Return the data of an Answer. ``step`` is called with each input that is worked on.
        Raises :class:`~gemma4_runtime.errors.RequestError`."""
        values = work.values
        if work.kind == "verdict":
            return self._preparer.verdict(values).encode()
        if work.kind == "tokens":
            return array(_IDS, self._preparer.token_ids(values, step=step)).tobytes()
        request = self._preparer.prepare_values(
            values,
            request_id=work.request_id,
            key=work.key,
            now=work.arrival,
            trace=work.trace,
            step=step,
            guide_known=values in self.known,
        )
        return encode(request)
