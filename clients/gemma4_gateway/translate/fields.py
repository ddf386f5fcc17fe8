"""Names of tensors in the engine's errors -> names of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["parameter_of"]

_NAMES = {
    "text_input": "prompt",
    "text": "prompt",
    "prompt_token_ids": "prompt",
    "token_ids": "tokens",
    "stop_words": "stop",
    "random_seed": "seed",
    "return_log_probs": "logprobs",
    "enable_thinking": "chat_template_kwargs.enable_thinking",
    "exclude_input_in_output": "echo",
    "guided_decoding_guide_type": "response_format",
    "guided_decoding_guide": "response_format",
}
_FIRST = re.compile(r"[^.\[]*")


def parameter_of(field: str, names: Mapping[str, str]) -> str:
    """Return the parameter that became the engine's input ``field``. ``names`` come before the
    usual ones, that of the longest part of the field first."""
    found = _FIRST.match(field)
    name = found[0] if found else ""
    parameter = _NAMES.get(name, name) + field[len(name) :]
    for end in _ends(field):
        if field[:end] in names:
            parameter = names[field[:end]] + field[end:]
    return parameter


def _ends(path: str) -> list[int]:
    """Where ``messages``, ``messages[1]``, ``messages[1].content`` end."""
    return [at for at, mark in enumerate(path) if mark in "[." and at] + [len(path)]
