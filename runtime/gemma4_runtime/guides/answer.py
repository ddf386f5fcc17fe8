"""Whether a finished answer keeps to its guide.

An engine enforces guides token by token, by code that is not ours. This looks at what came out: a
schema by another validator, everything else by the automaton itself, fed with bytes.
"""

from __future__ import annotations

import json
import math
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from gemma4_runtime.capabilities import Enforcer
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.matchers import matchers_of
from gemma4_runtime.messages import GuidedDecoding
from gemma4_runtime.output.vocab import load_token_table

__all__ = ["GuideAnswer", "json_problem"]

_SHOWN = 200
"""Characters of a fault that an error shows."""
_LONGEST_INTEGER = 4000
"""Digits up to which an integer is exact: Python refuses to read more than 4,300."""
_MOST_PREFIX = 4096
"""Bytes of a cut answer that are looked at: 3 us for each, and a guide that was left is left for
good."""


class GuideAnswer:
    """With the tokenizer of an engine folder and the llguidance of its runtime."""

    def __init__(self, tokenizer_json: Path, *, enforcer: Enforcer) -> None:
        table = load_token_table(tokenizer_json)
        self.control = table.control
        self.special = table.special
        """Ids of control tokens, which are no text."""
        self._tokens = {table.pieces[token][0]: token for token in table.byte_ids}
        self._tokens |= table.letters()
        self._matcher_of = matchers_of(tokenizer_json, enforcer=enforcer, byte_tokens=True)
        self._spacing = enforcer == "wheel"

    def problem(self, guided: GuidedDecoding, answer: bytes, *, complete: bool) -> str:
        """Return what is wrong with it; "" when nothing is. ``complete``: the model ended it, and
        neither a limit nor a stop string did. Costs what compiling the guide does, and 3 us a
        byte."""
        if guided.kind in ("json", "json_schema"):
            if complete:
                return json_problem(guided, answer)
            if not self._spacing:
                return ""  # the runtime chooses the white space, which the grammar here fixes
        if not complete:
            answer = answer[:_MOST_PREFIX]
        matcher = self._matcher_of(guide_grammar(guided))
        if matcher.error():
            return ""  # refused before it ran; not the answer's fault
        if answer and not matcher.consume([self._tokens[byte] for byte in answer]):
            return matcher.error().splitlines()[0][:_SHOWN]
        return "" if not complete or matcher.is_accepting() else "it ends too early"


def json_problem(guided: GuidedDecoding, answer: bytes) -> str:
    """Return what is wrong with a complete answer to a guide of kind json or json_schema."""
    try:
        value = json.loads(
            answer.decode(), parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {str(error)[:_SHOWN]}"
    validator = _validator(guided)
    try:
        validator.validate(value)
    except ValidationError as error:
        where = "".join(f"[{step!r}]" for step in error.instance_path)
        return f"{error.message[:_SHOWN]}" + (where and f", at {where[:_SHOWN]}")
    return ""


@lru_cache(maxsize=64)
def _validator(guided: GuidedDecoding) -> Any:
    """Make a validator: patterns without backtracking, references without the network. Patterns are
    as they were asked for, unless the validator does not know how to read them."""
    try:
        return _compiled(guided.asked or guided.guide or '{"type": "object"}')
    except ValidationError:
        return _compiled(guided.guide)


def _compiled(schema: str) -> Any:
    return Draft202012Validator(json.loads(schema), pattern_options=RegexOptions(), offline=True)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    """Read a number; one beyond the range of a double is a number of JSON all the same."""
    value = float(text)
    return value if math.isfinite(value) else math.copysign(sys.float_info.max, value)


def _integer(text: str) -> float:
    return int(text) if len(text) <= _LONGEST_INTEGER else _finite(text)
