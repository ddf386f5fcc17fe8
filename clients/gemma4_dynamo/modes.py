"""The two forms of requests that a worker takes: ``--input``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gemma4_dynamo.asked import Asked
from gemma4_dynamo.model import Model
from gemma4_dynamo.request import read_request

__all__ = ["Mode", "mode_of"]


@dataclass(frozen=True, slots=True)
class Mode:
    """``probe`` is the request of Dynamo's health check: one token."""

    text: bool
    read: Callable[[Mapping[str, Any]], Asked]
    probe: dict[str, Any]


def mode_of(name: str, model: Model, model_name: str) -> Mode:
    """Return the mode of one of :data:`~gemma4_dynamo.options.INPUTS`."""
    if name == "text":
        from gemma4_dynamo.text_request import read_text  # the gateway's schemas take a while

        hello = [{"role": "user", "content": "Hello"}]
        probe = {"model": model_name, "messages": hello, "temperature": 0.0, "max_tokens": 1}
        return Mode(True, read_text, probe | {"_HEALTH_CHECK": True})
    return Mode(
        False,
        partial(read_request, eos_ids=model.eos_ids),
        {
            "token_ids": [model.bos_id],
            "sampling_options": {"temperature": 0.0},
            "stop_conditions": {"max_tokens": 1},
            "_HEALTH_CHECK": True,
        },
    )
