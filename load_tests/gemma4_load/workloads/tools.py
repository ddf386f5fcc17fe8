"""Tool calls."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np

from gemma4_load.workloads.base import Ask, Reply, Workload
from gemma4_load.workloads.words import user

__all__ = ["TOOLS", "Tools"]

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Current weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Name of the city"}},
                "required": ["city"],
            },
        },
    }
]
_CITIES = [
    "Paris",
    "London",
    "Berlin",
    "Madrid",
    "Rome",
    "Tokyo",
    "Vienna",
    "Lisbon",
    "Athens",
    "Dublin",
    "Oslo",
    "Prague",
]


class Tools(Workload):
    """A question with a declared tool; when the model calls it, its result and the answer to it are
    a second request."""

    name: ClassVar[str] = "tools"

    def __init__(self, max_tokens: int) -> None:
        self._options = {"max_tokens": max_tokens}

    def first(self, rng: np.random.Generator) -> Ask:
        city = _CITIES[int(rng.integers(len(_CITIES)))]
        text = f"What is the weather in {city}?"
        return Ask(self.name, [user(text)], self._options, tools=TOOLS)

    def follow(self, ask: Ask, reply: Reply, rng: np.random.Generator) -> Ask | None:
        if not reply.tool_calls or len(ask.messages) > 1:
            return None
        weather = {"temperature_c": int(rng.integers(-5, 35)), "sky": "clear"}
        results = [
            {
                "role": "tool",
                "tool_call_id": call["id"],
                "name": call["function"]["name"],
                "content": json.dumps(weather),
            }
            for call in reply.tool_calls
        ]
        messages = [*ask.messages, reply.as_message(), *results]
        return Ask(self.name, messages, self._options, tools=TOOLS)
