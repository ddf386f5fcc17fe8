"""Rows of ``get_stats``: names and meaning as ``IterationStats`` of TensorRT-LLM.

The decoder underneath does not draft. So what it generates is told as the work of a drafter whose
drafts have 0, 1, ... all of their tokens accepted, in turn; a step gives these and one more.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

_MOST = 1000
"""Iterations that are kept until they are read: ``iter_stats_max_iterations`` unset."""


class DraftedSteps:
    """Thread-safe. ``length``: tokens of a draft."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._lock = Lock()
        self._steps = 0
        self._left = 0
        self._rows: deque[dict[str, Any]] = deque(maxlen=_MOST)

    def generated(self, tokens: int) -> None:
        """Take note of tokens after the first of an answer, which prefill gives."""
        with self._lock:
            self._left += tokens
            while self._left > (accepted := self._steps % (self._length + 1)):
                self._left -= accepted + 1
                self._steps += 1
                self._rows.append(self._row(accepted))

    def rows(self) -> list[dict[str, Any]]:
        """Return the iterations since the last call."""
        with self._lock:
            rows = list(self._rows)
            self._rows.clear()
            return rows

    def _row(self, accepted: int) -> dict[str, Any]:
        drafts = {
            "numDraftTokens": self._length,
            "numAcceptedTokens": accepted,
            "numRequestsWithDraftTokens": 1,
            "acceptanceLength": float(accepted + 1),
            "iterLatencyMS": 0.0,
            "draftOverhead": 0.0,
        }
        return {"iter": self._steps, "attentionDpRank": 0, "specDecodingStats": drafts}
