"""What TensorRT-LLM's statistics of its iterations say: use of the KV cache, and drafts.

``get_stats`` gives each iteration once: those since the last call, at most the newest 1,000.
Names and meaning are those of ``IterationStats`` (cpp/include/tensorrt_llm/executor/types.h) and of
``_update_iter_stats`` (tensorrt_llm/_torch/pyexecutor/py_executor.py), read in TensorRT-LLM's
public source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gemma4_runtime.engines.tensorrt_llm.wire import Drafted, KvUse

__all__ = ["IterationStats"]


class IterationStats:
    """Reads all rows of one LLM in their order."""

    def __init__(self) -> None:
        self._use = KvUse(0, 0)
        self._drafted = Drafted(0, 0, 0)

    def take(self, rows: Iterable[Mapping[str, Any]]) -> list[KvUse | Drafted]:
        """Return what has changed by ``rows``. Raises :class:`KeyError`, :class:`TypeError` or
        :class:`ValueError` for a row of another form."""
        use, drafted = self._use, self._drafted
        for row in rows:
            if blocks := row.get("kvCacheStats"):
                use = KvUse(int(blocks["usedNumBlocks"]), int(blocks["maxNumBlocks"]))
            # With attention DP there is a row for each rank, all with the drafts of rank 0.
            if (drafts := row.get("specDecodingStats")) and not row.get("attentionDpRank"):
                drafted = Drafted(
                    drafted.drafts + int(drafts["numRequestsWithDraftTokens"]),
                    drafted.tokens + int(drafts["numDraftTokens"]),
                    drafted.accepted + int(drafts["numAcceptedTokens"]),
                )
        changed: list[KvUse | Drafted] = []
        if use != self._use:
            changed.append(use)
        if drafted != self._drafted:
            changed.append(drafted)
        self._use, self._drafted = use, drafted
        return changed
