"""``return_token_ids``: token ids beside the text, in vLLM's places. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemma4_client import Delta

__all__ = ["NO_PROMPTS", "Prompts", "add_to_chat", "add_to_completion"]

Prompts = Mapping[int, list[int]]
"""Token ids of the prompt of each choice."""
NO_PROMPTS: Prompts = {}
"""Of a plan that does not want them."""


def add_to_chat(body: dict[str, Any], answers: Sequence[Delta], prompts: Prompts) -> None:
    """Put the prompt's ids beside the choices, and an answer's into its choice; the stop token is
    one of them."""
    body["prompt_token_ids"] = prompts[0]
    for choice, answer in zip(body["choices"], answers, strict=True):
        choice["token_ids"] = answer.ids


def add_to_completion(body: dict[str, Any], answers: Sequence[Delta], prompts: Prompts) -> None:
    """Put both into each choice: several prompts may have been asked."""
    for index, (choice, answer) in enumerate(zip(body["choices"], answers, strict=True)):
        choice["token_ids"] = answer.ids
        choice["prompt_token_ids"] = prompts[index]
