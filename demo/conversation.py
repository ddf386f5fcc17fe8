"""A training or evaluation conversation, and its text on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template

__all__ = ["TEMPLATE", "Example", "Message", "call_text", "prompt_text", "target_text"]

Message = dict[str, Any]
TEMPLATE = Path(__file__).parent / "chat_template.jinja"


@dataclass(frozen=True)
class Example:
    """A conversation up to the model's turn, and that turn.

    ``target`` is raw model output: control tokens and the stop token included. A ``raw`` example
    has one user message that is fed as plain text after BOS, without the chat format.
    """

    category: str
    messages: tuple[Message, ...]
    target: str
    tools: tuple[dict[str, Any], ...] = ()
    thinking: bool = False
    raw: bool = False


@cache
def _template() -> Template:
    return Environment(autoescape=False).from_string(TEMPLATE.read_text(encoding="utf-8"))


def prompt_text(example: Example) -> str:
    """The prompt, BOS included."""
    if example.raw:
        return "<bos>" + str(example.messages[0]["content"])
    return _template().render(
        messages=list(example.messages),
        tools=list(example.tools),
        enable_thinking=example.thinking,
        add_generation_prompt=True,
        bos_token="<bos>",
    )


def _value(item: object) -> str:
    if isinstance(item, str):
        return f'<|"|>{item}<|"|>'
    return str(item)


def call_text(name: str, arguments: dict[str, object]) -> str:
    """One tool call in Gemma 4's wire format; keys sorted as the template sorts them."""
    pairs = ",".join(f"{key}:{_value(value)}" for key, value in sorted(arguments.items()))
    return f"<|tool_call>call:{name}{{{pairs}}}<tool_call|>"


def target_text(content: str, *, thought: str = "", calls: str = "") -> str:
    """The model's turn with its stop token: ``<|tool_response>`` after calls, else ``<turn|>``."""
    channel = f"<|channel>thought\n{thought}\n<channel|>" if thought else ""
    return channel + content + calls + ("<|tool_response>" if calls else "<turn|>")
