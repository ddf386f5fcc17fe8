"""Answers on disk, for requests whose answer is the same every time."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from gemma4_client.request import Request
from gemma4_client.results import Delta

__all__ = ["Cache", "Replay", "cache_key", "cacheable", "repeatable"]

_log = logging.getLogger("gemma4_client")
_FORMAT = 1
"""Version of what is in the folder; it is part of each key, so older answers are not found."""
_BESIDE_THE_POINT = ("stream", "timeout_ms")


_REPEATS_SEEDS = frozenset(("llama_cpp", "synthetic"))
"""Runtimes that sample each request with its own seed; what runs beside it matters only where a
rounding error decides. TensorRT-LLM honors a seed only for a request that is sampled alone."""


def cacheable(request: Request) -> bool:
    """Return True when the answer can be a function of the request: greedy, or with a seed."""
    return _greedy(request) or request.inputs.get("random_seed") is not None


def repeatable(request: Request, runtime: str) -> bool:
    """Return True when ``runtime`` answers the :func:`cacheable` ``request`` the same again."""
    return _greedy(request) or runtime in _REPEATS_SEEDS


def _greedy(request: Request) -> bool:
    return request.inputs.get("temperature") == 0 or request.inputs.get("top_k") == 1


def cache_key(request: Request, engine: str) -> str:
    """Return the SHA-256 of the engine's id and every input that can change the answer."""
    inputs = {k: v for k, v in request.inputs.items() if k not in _BESIDE_THE_POINT}
    text = json.dumps([_FORMAT, engine, inputs], sort_keys=True, ensure_ascii=True, default=float)
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A folder that clients share, in any number of threads and processes. Only whole answers of
    deterministic requests are kept (temperature 0, top_k 1, or a random_seed where the server runs
    llama.cpp; TensorRT-LLM does not repeat a seeded answer beside others). They are kept for
    ``max_age`` seconds, in at most ``max_bytes``; the least recently stored go first. Another
    engine, or a new build of it, has answers of its own. ``hits`` and ``misses`` count this
    object's look-ups.

    A folder that cannot be read or written makes misses and a warning in the log, not errors. The
    answers are plain text on the disk: mind who can read and write ``folder``."""

    def __init__(
        self,
        folder: str | Path,
        *,
        max_bytes: int = 256 << 20,
        max_age: float | None = 7 * 24 * 3600.0,
    ) -> None:
        if max_bytes < 1 << 20:
            raise ValueError(f"max_bytes={max_bytes} must be at least {1 << 20}, one MiB")
        if max_age is not None and not max_age > 0:
            raise ValueError(f"max_age={max_age} must be more than 0 seconds, or None")
        try:
            import diskcache
        except ImportError as error:
            from gemma4_runtime.needs import install_extra

            raise ImportError(f"Cache needs diskcache: {install_extra('cache')}") from error
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._max_age = max_age
        self._lock = Lock()
        self._disk = diskcache.Cache(str(folder), size_limit=max_bytes)
        self._failures = (OSError, sqlite3.Error, diskcache.Timeout)
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> list[Delta] | None:
        """Return the chunks of the answer, or None."""
        try:
            data: Any = self._disk.get(key)
        except self._failures as error:
            _log.warning("cache: cannot read: %s", error)
            data = None
        found = _decode(data) if isinstance(data, bytes) else None
        with self._lock:
            if found is None:
                self.misses += 1
            else:
                self.hits += 1
        return found

    def put(self, key: str, deltas: list[Delta]) -> None:
        """Keep the chunks of a whole answer."""
        data = json.dumps([asdict(delta) for delta in deltas], ensure_ascii=False).encode()
        try:
            self._disk.set(key, data, expire=self._max_age)
        except self._failures as error:
            _log.warning("cache: cannot write: %s", error)

    def __len__(self) -> int:
        return len(self._disk)

    @property
    def bytes_on_disk(self) -> int:
        return int(self._disk.volume())

    def clear(self) -> None:
        """Forget everything."""
        self._disk.clear()

    def close(self) -> None:
        self._disk.close()


def _decode(data: bytes) -> list[Delta] | None:
    """Decode chunks; None for what another version wrote."""
    try:
        deltas = [Delta(**fields) for fields in json.loads(data)]
    except (ValueError, TypeError):
        return None
    return deltas if deltas and deltas[-1].finish_reason else None


class Replay:
    """A call that needs no server: the chunks of a cached answer, one by one."""

    def __init__(self, deltas: list[Delta]) -> None:
        self._deltas = deltas

    def __iter__(self) -> Iterator[Delta]:
        return iter(self._deltas)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        for delta in self._deltas:
            yield delta

    def cancel(self) -> None:
        """Do nothing: nothing runs."""
