"""Try a guide: compile it, and draw some tokens by it.

llguidance does much of its work only when a mask is asked for, and what it gives up on then, the
engine goes on without: llama.cpp writes a line into its log and generates freely. llama.cpp also
compiles in the thread that serves all slots. So a guide that is slow here, or that breaks, is
refused before the engine sees it.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from gemma4_runtime.capabilities import Enforcer
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.characters import wanted_characters
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.matchers import Matcher, matchers_of, missing_characters
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["CPU_S", "GuideTrial"]

CPU_S = 0.5
"""For compiling a guide and :data:`STEPS` masks; honest ones need 0.005 to 0.05,
``multipleOf`` 86400 0.3."""
STEPS = 16
"""Tokens that are drawn on trial."""
_FIELD = "guided_decoding_guide"
_PLACE = re.compile(r"^at \d+\(\d+\): ")


class GuideTrial:
    """With the tokenizer of an engine folder and the llguidance of its runtime."""

    def __init__(self, tokenizer_json: Path, *, enforcer: Enforcer) -> None:
        self._matcher_of = matchers_of(tokenizer_json, enforcer=enforcer)
        self._missing = missing_characters(tokenizer_json, enforcer=enforcer)

    def check(self, guided: GuidedDecoding) -> None:
        """Compile a guide and draw by it. Raises INVALID_ARGUMENT for one that does not compile,
        breaks or is slow. Call it where it can be killed: llguidance cannot be interrupted."""
        began = time.thread_time()
        missing = self._missing(wanted_characters(guided))
        if missing:
            shown = ", ".join(f"{char!r} (U+{ord(char):04X})" for char in sorted(missing)[:5])
            raise invalid(
                Code.GUIDE_UNSUPPORTED,
                _FIELD,
                f"{shown}: no token of this model, and llama.cpp cannot join byte tokens under a "
                "guide; use other characters",
            )
        matcher = self._matcher_of(guide_grammar(guided))
        problem = "" if matcher.error() else self._draw(matcher, began)
        problem = matcher.error() or problem
        if problem:
            raise invalid(Code.GUIDE_UNSUPPORTED, _FIELD, f"cannot be enforced: {_said(problem)}")
        took = time.thread_time() - began
        if took > CPU_S:
            raise invalid(
                Code.INPUT_TOO_COMPLEX,
                _FIELD,
                f"takes {took:.2f} s to compile, which other requests would have to wait for; at "
                f"most {CPU_S} s; make it smaller or simpler",
            )

    @staticmethod
    def _draw(matcher: Matcher, began: float) -> str:
        """Draw a token from the middle of each mask, so that not only the first branch is tried.
        Return what is wrong."""
        for _ in range(STEPS):
            if matcher.is_stopped() or time.thread_time() - began > CPU_S:
                return ""
            mask = matcher.mask()
            count = mask.bit_count()
            if not count:
                return "no token can come next; the parts of the guide contradict each other"
            matcher.consume([_bit(mask, count // 2)])
        return ""


def _said(problem: str) -> str:
    """Return the cause in llguidance's message. It puts the place in the grammar that was made of
    the guide before the cause, and its own state below it."""
    lines = problem.splitlines()
    first = _PLACE.sub("", lines[0])
    if first.endswith(":") and len(lines) > 1:
        first += " " + lines[-1] if lines[-1].startswith("error") else ""
    return first[:300]


def _bit(mask: int, number: int) -> int:
    """Return the place of the set bit ``number``, counted from 0: by halves, for masks of 262,144
    bits."""
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
