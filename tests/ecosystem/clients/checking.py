"""What the scripts in Python share: they report each check in a line. Standard library only."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

__all__ = [
    "MODEL",
    "PATIENCE",
    "QUESTION",
    "URL",
    "V1",
    "WEATHER",
    "WEATHER_TOOL",
    "raises",
    "report",
]

URL = os.environ["GATEWAY_URL"]
V1 = f"{URL}/v1"
MODEL = os.environ["MODEL"]
PATIENCE = float(os.environ["PATIENCE"])
"""Times the limits of time."""
QUESTION = "What is the capital of France?"
WEATHER = "What is the weather in Oslo?"
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def report(**checks: Callable[[], Any]) -> int:
    """Run the checks, whose names have spaces for underscores, and return the exit status."""
    failed = 0
    for key, check in checks.items():
        name, began = key.replace("_", " "), time.monotonic()
        try:
            result = check()
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
        except BaseException as error:  # noqa: BLE001 - reported
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"\nFAILED {name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}")
        else:
            print(f"\nok {name}")  # some clients leave a line of theirs open
        print(f"   {time.monotonic() - began:.1f} s", flush=True)
    return 1 if failed else 0


async def _awaited(result: Any) -> None:
    await result


def raises(kind: type[BaseException], call: Callable[[], Any], *words: str) -> None:
    """The call fails with exactly this kind of exception, whose text has the words."""
    try:
        call()
    except kind as error:
        missing = [word for word in words if not re.search(re.escape(word), f"{error}")]
        assert not missing, f"{missing} not in {error}"
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
