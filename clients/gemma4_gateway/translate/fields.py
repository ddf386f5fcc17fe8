"""Names of tensors in the engine's messages -> names of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gemma4_gateway.errors import ApiError

__all__ = ["engine_refusal", "unsendable"]

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
    the usual ones, that of the longest part of the field first."""
    match = _FIELD.match(message)
    if match is None:
        return ApiError(400, message)
    name, rest, text = match.groups()
    whole = name + rest
    param = _NAMES.get(name, name) + rest
    for end in _ends(whole):
        if whole[:end] in names:
            param = names[whole[:end]] + whole[end:]
    code = "context_length_exceeded" if "the engine takes prompts of" in text else None
    return ApiError(400, f"{param}: {text}", param=param, code=code)


def _ends(path: str) -> list[int]:
    """Where ``messages``, ``messages[1]``, ``messages[1].content`` end."""
    return [at for at, mark in enumerate(path) if mark in "[." and at] + [len(path)]


def unsendable(error: ValueError) -> ApiError:
    """400 for what the client package cannot put into a request."""
    if isinstance(error, UnicodeError):
        return ApiError(400, "the request contains a lone surrogate such as \\ud800; remove it")
    return ApiError(400, f"the request cannot be sent to the engine: {error}")
