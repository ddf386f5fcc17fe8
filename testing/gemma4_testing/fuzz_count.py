"""How many mutated requests a fuzzer sends to each protocol."""

from __future__ import annotations

import os

__all__ = ["fuzz_count"]


def fuzz_count(usual: int) -> int:
    """``FUZZ_COUNT`` of the environment (`make test-fuzz` sets it), else ``usual``."""
    return int(os.environ.get("FUZZ_COUNT", usual))
