"""Values of refused parameters that ask for what happens anyway, and so are taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gemma4_gateway.schemas.peers import PEERS_USUAL

__all__ = ["USUAL", "is_usual", "refusal"]

USUAL: dict[str, tuple[Any, ...]] = {
    "access_programs": ([],),
    "add_special_tokens": (True,),
    "allowed_callers": ([], ["direct"]),
    "allowed_token_ids": ([],),
    "background": (False,),
    "best_of": (1,),
    "billing_policy": (
        {"type": "billing_policy"},
        {"type": "billing_policy", "bill_to": "self"},
    ),
    "caller": ({"type": "direct"},),
    "citations": ([],),
    "context_management": ([],),
    "defer_loading": (False,),
    "diagnostics": ({}, {"previous_message_id": None}),
    "documents": ([],),
    "echo": (False,),
    "fallbacks": ([], "default"),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "input_examples": ([],),
    "length_penalty": (1,),
    "logits_processors": ([],),
    "mcp_servers": ([],),
    "mm_processor_kwargs": ({},),
    "modalities": (["text"],),
    "priority": (0,),
    "prompt_cache_options": ({},),
    "prompt_cache_retention": ("in_memory", "in-memory"),
    "skip_special_tokens": (True,),
    "speed": ("standard",),
    "spaces_between_special_tokens": (True, False),
    "stop": ([], ""),
    "suffix": ("",),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
} | PEERS_USUAL
"""By the parameter's name, on all endpoints. ``function_call`` chooses among ``functions``: here
there are none."""


def is_usual(value: Any, usual: tuple[Any, ...]) -> bool:
    """Return whether ``value`` is one of ``usual``; true is no 1, but 1.0 is."""
    return any(isinstance(value, bool) == isinstance(x, bool) and value == x for x in usual)


def refusal(
    name: str, refused: Mapping[str, str], usual: Mapping[str, tuple[Any, ...]] = USUAL
) -> str:
    """Return why a parameter is refused, and what of it is not."""
    taken = " or ".join(map(json.dumps, usual.get(name, ())))
    return refused[name] + (f"; only {taken} is taken, which changes nothing" if taken else "")
