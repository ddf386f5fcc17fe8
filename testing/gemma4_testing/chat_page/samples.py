"""What the model behind the page says to a word of the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma4_testing.fakes.scripted_backend import Piece, thought, tool_call

__all__ = ["ANSWERS", "HOSTILE", "MARKDOWN", "TOOLS", "answer"]

MARKDOWN = """# A heading

A paragraph with **bold**, *italic*, ~~gone~~, `code <b>` and a
second line. See [the docs](https://example.com/a_(b)) or https://example.com/x_y_z.

```python
def add(a, b):
    return a + b  # <not html>
```

1. one
2. two
   - inner *a*
   - inner b

> a quote
> goes on

| name | count |
|:-----|------:|
| a    | 1     |
| b\\|c | 22    |

---
The end, with snake_case_names and 2 * 3 * 4.
"""
HOSTILE = """<img src=x onerror="window.hit=1"><script>window.hit=2</script>
[a](javascript:window.hit=3) [b](data:text/html,<script>window.hit=4</script>)
![c](https://example.com/pixel.png) <svg onload=window.hit=5>
[d](https://example.com/"onmouseover="window.hit=6)
<a href="javascript:window.hit=7">e</a> `<i onclick=window.hit=8>`
"""
TOOLS = """[{"type": "function", "function": {"name": "get_weather", "description": "The weather",
 "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]"""


def cut(text: str, size: int = 7) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


ANSWERS: dict[str, Sequence[str | Piece]] = {
    "markdown": cut(MARKDOWN),
    "hostile": cut(HOSTILE),
    "think": [thought("The user "), thought("asks."), "It ", "is ", "42."],
    "weather": [tool_call("get_weather", city="Oslo")],
    "long": ["word "] * 100_000,
}


def answer(messages: list[dict[str, Any]]) -> Sequence[str | Piece]:
    last = messages[-1]
    if last["role"] == "tool":
        return ["It is ", f"{last['content']} in Oslo."]
    return ANSWERS.get(last["content"], ["You said ", last["content"], "."])
