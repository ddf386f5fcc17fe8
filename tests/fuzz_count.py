"""How many mutated requests a fuzzer sends: ``GEMMA4_FUZZ_REQUESTS``, else a few."""

from __future__ import annotations

import os

__all__ = ["FUZZ_REQUESTS"]

FUZZ_REQUESTS = int(os.environ.get("GEMMA4_FUZZ_REQUESTS", "600"))
