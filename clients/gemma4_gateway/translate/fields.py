"""Names of tensors in the engine's messages -> names of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gemma4_gateway.errors import ApiError

__all__ = ["engine_refusal"]

_NAMES = {
    "text_input": "prompt",
    "text": "prompt",
    "token_ids": "tokens",
    "stop_words": "stop",
    "random_seed": "seed",
    "return_log_probs": "logprobs",
    "enable_thinking": "chat_template_kwargs.enable_thinking",
    "exclude_input_in_output": "echo",
    "guided_decoding_guide_type": "response_format",
    "guided_decoding_guide": "response_format",
}
_FIELD = re.compile(r"([a-z_]+)((?:\[\d+\]|\.[a-z_]+)*): (.*)\Z", re.DOTALL)


def engine_refusal(message: str, names: Mapping[str, str]) -> ApiError:
    """400 for an INVALID_ARGUMENT of the engine, ``field: what is wrong``. ``names`` come before
    the usual ones."""
    match = _FIELD.match(message)
    if match is None:
        return ApiError(400, message)
    name, rest, text = match.groups()
    index, found, place = rest.partition("]")
    if found and f"{name}{index}]" in names:
        param = names[f"{name}{index}]"] + place
    else:
        param = names.get(name, _NAMES.get(name, name)) + rest
    code = "context_length_exceeded" if "the engine takes prompts of" in text else None
    return ApiError(400, f"{param}: {text}", param=param, code=code)
