"""How many prompt tokens llama.cpp computes at a time, measured on this machine.

A cancel, and every other stream, waits for the batch at work: llama.cpp's server looks for neither
inside a batch, and xllamacpp has no way to abort one. So the batch is what this machine computes
in the time that a cancel may wait, and is measured when the model has been loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from gemma4_runtime.user_cache import cache_file, read_entries, write_entries

__all__ = ["LEAST_BATCH", "MOST_BATCH", "BatchMemory", "busy", "fitting_batch", "measure_prefill"]

_BATCH_S = 0.4
"""Seconds that a batch may take: a cancel has 0.5, of which 0.1 are for noticing it."""
LEAST_BATCH, MOST_BATCH = 4, 128
"""Tokens of a measured batch. Beyond 128 prompts get a tenth faster, and need more memory."""
_MEASURE_S = 1.0
"""Seconds of prompts that are measured."""
_BATCHES = 4
"""Batches of one measured prompt."""
_MOST_ENTRIES = 64
"""Measurements that are remembered; older ones make room."""


def fitting_batch(tokens_per_s: float) -> int:
    """Return the largest power of two of tokens that fit into the time of a batch. Larger batches
    are no slower for each token, so what was measured with a smaller one is on the safe side."""
    fitting = max(1, int(tokens_per_s * _BATCH_S))
    return max(LEAST_BATCH, min(MOST_BATCH, 1 << (fitting.bit_length() - 1)))


def busy() -> bool:
    """Return whether others compute here now, so that a measurement holds for this start only."""
    return os.getloadavg()[0] > len(os.sched_getaffinity(0))


def measure_prefill(
    server: Any,
    *,
    batch: int,
    vocab_size: int,
    longest: int,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Return prompt tokens/s of an idle ``server`` that computes ``batch`` at a time, from about a
    second of prompts of at most ``longest`` tokens. Raises :class:`ValueError` when it refuses."""
    length = max(1, min(_BATCHES * batch, longest))
    tokens, spent = 0, 0.0
    while spent < _MEASURE_S:
        ids = [vocab_size // 4 + (tokens + i) * 7919 % (vocab_size // 2) for i in range(length)]
        body = {
            "prompt": ids, "stream": True, "n_predict": 1, "cache_prompt": False, "temperature": 0.0
        }  # fmt: skip
        started = clock()
        server.handle_completions(orjson.dumps(body), lambda event: False)
        spent += clock() - started
        tokens += length
    return tokens / spent


class BatchMemory:
    """Batches by engine and machine, in a file of the user's cache folder. One that cannot be read
    or written only costs a second measurement."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or cache_file("prefill.json")

    def get(self, key: str) -> int | None:
        """Return the batch of ``key``, None where there is none."""
        batch = read_entries(self._file).get(key)
        usable = type(batch) is int and LEAST_BATCH <= batch <= MOST_BATCH
        return batch if usable else None

    def put(self, key: str, batch: int) -> None:
        """Remember it."""
        entries = read_entries(self._file)
        entries.pop(key, None)
        write_entries(self._file, entries | {key: batch}, most=_MOST_ENTRIES)

    @staticmethod
    def key(model_bytes: int, *, version: str, threads: int, slots: int) -> str:
        """Return what a measurement holds for: a model of that size, here, with these options."""
        parts = (model_bytes, version, threads, slots, platform.node(), _processor())
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
