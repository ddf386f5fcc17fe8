"""Tools that a model may call."""

from __future__ import annotations

from typing import Any

__all__ = ["WEATHER"]

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"$ref": "#/$defs/City"}},
            "required": ["city"],
            "$defs": {
                "City": {"type": "string", "description": "Name of the city", "maxLength": 12}
            },
        },
    },
}
