"""The grammar of a whole answer around a guide: ``thought? (call+ | guided text)``.

Markers are named by their token ids, ``<[48]>``, which llguidance takes from every tokenizer; their
names are known to it only where the GGUF says that they are control tokens. The free parts are
ranges of token ids, so that no marker and no end of the answer can stand in them. Calls have the
form in which the chat template writes them: ``call:NAME{key:value,...}`` without white space, with
strings between two quote markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llguidance import LLMatcher

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.messages import Prelude
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["TurnTokens", "turn_grammar"]

_HEAD = "%llguidance {}\n"

_VALUES = r"""object: "{" "}" | "{" pair ("," pair)* "}"
pair: KEY ":" value
KEY: /[^:={}\[\],"'<>|\s]{1,64}( [^:={}\[\],"'<>|\s]{1,64}){0,7}/
value: string | NUMBER | "true" | "false" | "null" | object | array
array: "[" "]" | "[" value ("," value)* "]"
NUMBER: /-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?/
"""


@dataclass(frozen=True, slots=True)
class TurnTokens:
    """Terminals of the grammar, each as Lark."""

    text: str
    think_open: str
    think_close: str
    call_open: str
    call_close: str
    quote: str
    response_open: str

    @classmethod
    def of(cls, table: TokenTable) -> TurnTokens:
        """Return the tokens of a vocabulary. ``text`` is any token that is no control token."""
        control = table.control
        plain = (i for i in range(len(table.pieces)) if i not in table.special and table.pieces[i])
        return cls(
            f"<[{_ranges(plain)}]>",
            *(
                f"<[{token}]>"
                for token in (
                    control.think_open,
                    control.think_close,
                    control.call_open,
                    control.call_close,
                    control.quote,
                    control.response_open,
                )
            ),
        )


def turn_grammar(form: str, prelude: Prelude, tokens: TurnTokens) -> str:
    """Return the grammar of a turn. ``form`` is a grammar of the guided text, as
    :func:`~gemma4_runtime.guides.grammar.guide_grammar` gives it. After its calls the model may
    write the marker of a tool's response, with which it ends a turn of calls. Raises INTERNAL
    rather than give llama.cpp a grammar that it would drop."""
    thought = {"none": "", "may": "thought? ", "open": f"text* {tokens.think_close} "}
    rest = "(calls | form)" if prelude.tools else "form"
    parts = [f"start: {thought[prelude.thought]}{rest}\n"]
    if prelude.thought != "none" or prelude.tools:
        parts.append(f"text: {tokens.text}\n")
    if prelude.thought == "may":
        parts.append(f"thought: {tokens.think_open} text* {tokens.think_close}\n")
    if prelude.tools:
        names = "|".join(re.escape(name) for name in prelude.tools)
        parts += (
            f"calls: call+ {tokens.response_open}?\n",
            f'call: {tokens.call_open} "call:" NAME object {tokens.call_close}\n',
            f"NAME: /{names}/\n",
            f"string: {tokens.quote} text* {tokens.quote}\n",
            _VALUES,
        )
    inner = form.removeprefix(_HEAD)
    parts.append("form: %lark {\n" + inner + "\n}\n")
    grammar = _HEAD + "".join(parts)
    problem = LLMatcher.validate_grammar(grammar)
    if problem:
        raise RequestError(
            Code.SERVER_FAILED, f"the grammar of the answer: {problem.splitlines()[0][:300]}"
        )
    return grammar


def _ranges(ids: Iterable[int]) -> str:
    """Return ``0,5-9`` of ids in order."""
    found: list[list[int]] = []
    for number in ids:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
