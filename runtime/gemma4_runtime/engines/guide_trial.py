"""Try a guide: compile it, and draw some tokens by it.

llguidance does much of its work only when a mask is asked for, and what it gives up on then, the
engine goes on without: llama.cpp writes a line into its log and generates freely. llama.cpp also
compiles in the thread that serves all slots. So a guide that is slow here, or that breaks, is
refused before the engine sees it.
"""

from __future__ import annotations

import time
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer

from gemma4_runtime.engines.guides import guide_grammar
from gemma4_runtime.errors import invalid
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["CPU_S", "GuideTrial"]

CPU_S = 0.3
"""For compiling a guide and :data:`STEPS` masks; honest ones need 0.005 to 0.05."""
STEPS = 16
_FIELD = "guided_decoding_guide"


class GuideTrial:
    """With the tokenizer of an engine folder."""

    def __init__(self, tokenizer_json: Path) -> None:
        self._tokenizer = LLTokenizer(tokenizer_json.read_text(encoding="utf-8"))

    def check(self, guided: GuidedDecoding) -> None:
        """Raises INVALID_ARGUMENT for one that does not compile, breaks or is slow. Call it where
        it can be killed: llguidance cannot be interrupted."""
        began = time.thread_time()
        matcher = LLMatcher(self._tokenizer, guide_grammar(guided))
        self._draw(matcher, began)
        problem = matcher.get_error()
        if problem:
            raise invalid(_FIELD, f"cannot be used: {problem.splitlines()[0][:300]}")
        took = time.thread_time() - began
        if took > CPU_S:
            raise invalid(
                _FIELD,
                f"takes {took:.2f} s to compile, which other requests would have to wait for; at "
                f"most {CPU_S} s; make it smaller or simpler",
            )

    @staticmethod
    def _draw(matcher: LLMatcher, began: float) -> None:
        """A token from the middle of each mask, so that not only the first branch is tried."""
        for _ in range(STEPS):
            if matcher.is_error() or matcher.is_stopped() or time.thread_time() - began > CPU_S:
                return
            mask = int.from_bytes(matcher.compute_bitmask(), "little")
            count = mask.bit_count()
            if not count:
                return
            matcher.consume_token(_bit(mask, count // 2))


def _bit(mask: int, number: int) -> int:
    """The place of the set bit ``number``, counted from 0: by halves, for masks of 262,144 bits."""
    at, width = 0, mask.bit_length()
    while width > 1:
        half = (width + 1) // 2
        low = mask & ((1 << half) - 1)
        inside = low.bit_count()
        if number < inside:
            mask, width = low, half
        else:
            number, mask, at, width = number - inside, mask >> half, at + half, width - half
    return at
