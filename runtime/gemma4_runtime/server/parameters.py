"""What the parameters of a Triton request may say.

Triton's ``generate`` makes a parameter of each field that is no input, so a misspelt option would
change nothing and nobody would know.
"""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Collection, Mapping
from typing import Any

from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.messages import FEED_PARAMETER, KEY_PARAMETER
from gemma4_runtime.trace_context import TRACE_FIELDS

__all__ = ["TIMEOUT", "check_parameters", "with_timeout"]

TIMEOUT = "timeout"
"""Triton's own: microseconds, 0 for none."""
_OURS = frozenset({FEED_PARAMETER, KEY_PARAMETER, "id"})
_IDLE = {"priority": (0,), "sequence_id": (0, ""), "sequence_start": (False,),
         "sequence_end": (False,), "binary_data_output": (True, False)}  # fmt: skip
"""Triton's own that change nothing at these values."""
_NO_BEAMS = "beam search is not offered; leave it out"
_NO_DECAY = "top_p does not change within an answer; leave it out"
_NVIDIAS: dict[str, tuple[tuple[Any, ...], str]] = {
    "beam_search_diversity_rate": ((0,), _NO_BEAMS),
    "early_stopping": ((0, 1), _NO_BEAMS),
    "no_repeat_ngram_size": ((0,), "use repetition_penalty"),
    "prompt_vocab_size": ((0,), "prompts are text or token ids, without embeddings"),
    "runtime_top_p_decay": ((1,), _NO_DECAY),
    "runtime_top_p_min": ((0,), _NO_DECAY),
    "top_p_decay": ((1,), _NO_DECAY),
    "top_p_min": ((0,), _NO_DECAY),
}
"""Inputs of NVIDIA's tensorrt_llm that gemma4 has not, the values at which they change nothing, and
what to do instead of others."""
_MEANT = {
    "input_ids": "prompt_token_ids",
    "max_completion_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "min_length": "min_tokens",
    "output_log_probs": "return_log_probs",
    "logprobs": "return_log_probs",
    "prompt": "text_input",
    "request_output_len": "max_tokens",
    "response_format": "guided_decoding_guide_type",
    "stop": "stop_words",
    "streaming": "stream",
}
"""Names that other models and APIs have for an input of ours."""
_WHY = {
    "binary_data_output": "must be true or false",
    "priority": "requests are served in the order in which they come; leave it out",
    "sequence_id": "requests stand alone; send the whole conversation in messages",
    "sequence_start": "requests stand alone; send the whole conversation in messages",
    "sequence_end": "requests stand alone; send the whole conversation in messages",
}
_TRITONS = "triton_"
"""How names begin that Triton keeps for itself."""
_SHOWN = 64
"""Characters of a name that a message repeats."""


def check_parameters(parameters: Mapping[str, Any], inputs: Collection[str] = INPUT) -> int:
    """Return Triton's timeout in microseconds, 0 for none. Raises INVALID_ARGUMENT for a parameter
    that would change the answer and cannot, and for one that nobody knows. ``inputs`` are the
    names of the model's."""
    for name, value in parameters.items():
        if name in _OURS or name == TIMEOUT or name.startswith(_TRITONS):
            continue
        if name.lower() in TRACE_FIELDS:  # a wrong one is no trace, and no error
            continue
        if name in _IDLE:
            if value not in _IDLE[name]:
                raise invalid(Code.OPTION_UNSUPPORTED, name, f"{reprlib.repr(value)}: {_WHY[name]}")
            continue
        if name in _NVIDIAS and name not in inputs:
            taken, instead = _NVIDIAS[name]
            if value not in taken:
                raise invalid(Code.OPTION_UNSUPPORTED, name, f"{reprlib.repr(value)}: {instead}")
            continue
        raise invalid(Code.UNKNOWN_INPUT, name[:_SHOWN], _hint(name, inputs))
    timeout = parameters.get(TIMEOUT, 0)
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise invalid(
            Code.INVALID_VALUE,
            TIMEOUT,
            f"{reprlib.repr(timeout)} must be a whole number of microseconds; timeout_ms is in "
            "milliseconds",
        )
    return timeout


def _hint(name: str, inputs: Collection[str]) -> str:
    if name in inputs:
        return "is an input; send it as a tensor, not as a parameter"
    meant = _MEANT.get(name, "")
    close = [meant] if meant in inputs else difflib.get_close_matches(name[:_SHOWN], inputs, n=1)
    more = f"did you mean {close[0]}?" if close else f"the inputs are {', '.join(inputs)}"
    return f"no such input; {more}"


def with_timeout(values: dict[str, Any], timeout: int) -> dict[str, Any]:
    """Return ``values`` with Triton's ``timeout`` (microseconds, 0 for none) in ``timeout_ms``,
    where the shorter one stays."""
    if timeout:
        allowed = math.ceil(timeout / 1000)
        values["timeout_ms"] = min(values.get("timeout_ms", allowed), allowed)
    return values
