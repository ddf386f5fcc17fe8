"""What each runtime can do. Preprocessing refuses the rest by name, before any work is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

from gemma4_runtime.contract.inputs import SAMPLING
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.messages import SamplingParams

__all__ = [
    "CAPABILITIES",
    "NO_SEQUENCES",
    "Capabilities",
    "Compiler",
    "Conflict",
    "Enforcer",
    "refuse_conflicts",
]

Compiler = Literal["llguidance", "xgrammar"]
Enforcer = Literal["wheel", "package"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two options that a runtime cannot do together, and why, with the way out."""

    option: str
    other: str
    why: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``guides``: kinds of guided decoding. ``enforcer``: whose llguidance tries them: the one in
    the xllamacpp wheel, or the Python package where the runtime's own compiler cannot be asked.
    ``compiler``: what the runtime makes of a JSON schema, and so which words it gets.
    ``lacks``: option -> why this runtime cannot. ``conflicts``: see :func:`refuse_conflicts`.

    ``most_regex_size`` and ``most_grammar_size``: parts of a guide when its counted repeats are
    written out (:func:`~gemma4_runtime.guides.repeats.expanded_size`). llguidance needs 10 ms for a
    first mask with 10,000 equal letters, 150 ms with 100,000. xgrammar compares each state of a
    repeated class with the whole vocabulary."""

    guides: frozenset[str] = frozenset({"json", "json_schema", "regex", "grammar"})
    enforcer: Enforcer = "package"
    compiler: Compiler = "llguidance"
    lacks: dict[str, str] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    most_regex_size: int = 10_000
    most_grammar_size: int = 20_000


def _set_if_not(default: float | None, field: str) -> Callable[[SamplingParams], bool]:
    read = attrgetter(field)
    return lambda sampling: read(sampling) != default


_IS_SET: dict[str, Callable[[SamplingParams], bool]] = {
    option.name: _set_if_not(option.default, option.param)
    for option in SAMPLING
    if not option.from_checkpoint
} | {"guided_decoding_guide_type": lambda sampling: sampling.guided is not None}


def refuse_conflicts(sampling: SamplingParams, capabilities: Capabilities) -> None:
    """Raise INVALID_ARGUMENT for two options that this runtime cannot do together."""
    for conflict in capabilities.conflicts:
        if _IS_SET[conflict.option](sampling) and _IS_SET[conflict.other](sampling):
            raise invalid(
                Code.CONFLICTING_INPUTS, conflict.option, conflict.why, other=conflict.other
            )


_TWO_PENALTIES = (
    "llama.cpp cannot do it together with repetition_penalty, which counts the prompt too; leave "
    "one of them out"
)

_NO_MODEL = "the synthetic runtime has no model; use an engine built with --runtime llama_cpp"

NO_SEQUENCES = (
    "TensorRT-LLM's API bans single token ids only, and this word is several; "
    "ban a shorter word or filter the output"
)

CAPABILITIES = {
    "llama_cpp": Capabilities(
        enforcer="wheel",
        lacks={
            "bad_sequences": "llama.cpp can ban single tokens only, and this word is several; "
            "ban a shorter word or filter the output"
        },
        conflicts=(
            Conflict("presence_penalty", "repetition_penalty", _TWO_PENALTIES),
            Conflict("frequency_penalty", "repetition_penalty", _TWO_PENALTIES),
            Conflict(
                "presence_penalty",
                "guided_decoding_guide_type",
                "llama.cpp cannot do it together with a guide (a forced tool call is one too): the "
                "penalty takes several calls, and each would begin the guide anew; leave it out, "
                "or use frequency_penalty",
            ),
        ),
    ),
    "synthetic": Capabilities(
        guides=frozenset(),
        lacks={
            "return_log_probs": _NO_MODEL,
            "top_logprobs": _NO_MODEL,
            "logit_bias": _NO_MODEL,
            "guided_decoding_guide_type": _NO_MODEL,
            "bad_words": _NO_MODEL,
            "bad_sequences": _NO_MODEL,
        },
    ),
    "tensorrt_llm": Capabilities(
        compiler="xgrammar",
        lacks={"bad_sequences": NO_SEQUENCES},
        most_regex_size=2000,
        most_grammar_size=10_000,
    ),
}
