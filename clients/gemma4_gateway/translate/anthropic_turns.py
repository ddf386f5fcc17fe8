"""Turns of Anthropic's Messages API -> messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from gemma4_gateway.errors import invalid, validation_error
from gemma4_gateway.schemas.anthropic_blocks import (
    BLOCKS,
    NOT_TAKEN,
    Block,
    FallbackBlock,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from gemma4_gateway.schemas.anthropic_turn import TurnParam

__all__ = ["conversation"]

_BILLING = "x-anthropic-billing-header:"
"""How a block of the system prompt begins that Claude Code sends for Anthropic's accounts. It
differs in each request, so that the engine's cache of the prompt would be of no use."""

Names = dict[str, str]


def conversation(
    system: str | list[dict[str, Any]] | None, turns: list[TurnParam]
) -> tuple[list[dict[str, Any]], Names]:
    """Return the messages, and for each of their fields as the engine names it
    (``messages[2].tool_calls[0].id``) the block's (``messages[1].content[1].id``). Turns of one
    role that follow each other are one. Raises :class:`~gemma4_gateway.errors.ApiError` 400 that
    names the block."""
    made = _Conversation()
    if system is not None:
        made.add("system", "system", _without_billing(system))
    last_user = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=-1)
    for index, turn in enumerate(turns):
        at = f"messages[{index}]"
        if turn.clear_at == "next_user_message" and index < last_user:
            _check(turn, f"{at}.content")
        elif turn.content is not None:
            made.add(turn.role, at, turn.content, field=".content")
    return made.messages, made.names()


def _check(unseen: TurnParam, place: str) -> None:
    """Check the blocks of a turn that the model does not see."""
    if isinstance(unseen.content, list):
        for _ in _checked(unseen.role, place, unseen.content):
            pass


def _without_billing(system: str | list[dict[str, Any]]) -> str | list[dict[str, Any] | None]:
    """Return the system prompt with None for blocks that are not for the model."""
    if isinstance(system, str):
        first, _, rest = system.partition("\n")
        return rest if first.startswith(_BILLING) else system
    return [None if str(block.get("text")).startswith(_BILLING) else block for block in system]


class _Conversation:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._names: Names = {}

    def names(self) -> Names:
        """Return the names, and write messages of one text without a list of parts."""
        for index, message in enumerate(self.messages):
            content = message["content"]
            if isinstance(content, list) and len(content) == 1:
                message["content"] = content[0]["text"]
                part = self._names.pop(f"messages[{index}].content[0].text")
                self._names[f"messages[{index}].content"] = part
        return self._names

    def add(self, role: str, place: str, content: Any, *, field: str = "") -> None:
        if isinstance(content, str):
            if role == "assistant":
                self._says(content, place, place + field)
            elif content or role == "user":
                self._part(role, content, place, place + field)
            return
        blocks = list(_checked(role, place + field, content))
        if role == "user" and not blocks:
            raise invalid(place + field, "is empty; give a block")
        if role == "assistant":
            self._turn(place)
        for at, block in blocks:
            self._block(role, place, at, block)

    def _block(self, role: str, place: str, at: str, block: Block) -> None:
        if isinstance(block, ToolResultBlock):
            self._result(at, block)
        elif isinstance(block, ToolUseBlock):
            self._call(place, at, block)
        elif isinstance(block, ThinkingBlock):
            self._thinks(block.thinking, place, f"{at}.thinking")
        elif isinstance(block, TextBlock) and role == "assistant":
            self._says(block.text, place, f"{at}.text")
        elif isinstance(block, TextBlock):
            self._part(role, block.text, place, f"{at}.text")
        else:
            assert isinstance(block, RedactedThinkingBlock | FallbackBlock)

    def _message(self, role: str, place: str, **fields: Any) -> tuple[str, dict[str, Any]]:
        """Return the last message, if it is of this role, else a new one; and its name."""
        if not self.messages or self.messages[-1]["role"] != role or role == "tool":
            self.messages.append({"role": role, **fields})
            self._names[f"messages[{len(self.messages) - 1}]"] = place
        return f"messages[{len(self.messages) - 1}]", self.messages[-1]

    def _part(self, role: str, text: str, place: str, at: str) -> None:
        here, message = self._message(role, place, content=[])
        self._names[f"{here}.content[{len(message['content'])}].text"] = at
        message["content"].append({"type": "text", "text": text})

    def _turn(self, place: str) -> tuple[str, dict[str, Any]]:
        return self._message("assistant", place, content="")

    def _says(self, text: str, place: str, at: str) -> None:
        here, message = self._turn(place)
        message["content"] += text
        self._names.setdefault(f"{here}.content", at)

    def _thinks(self, text: str, place: str, at: str) -> None:
        if text:
            here, message = self._turn(place)
            message["reasoning_content"] = message.get("reasoning_content", "") + text
            self._names.setdefault(f"{here}.reasoning_content", at)

    def _call(self, place: str, at: str, block: ToolUseBlock) -> None:
        here, message = self._turn(place)
        calls = message.setdefault("tool_calls", [])
        name = f"{here}.tool_calls[{len(calls)}]"
        arguments = json.dumps(block.input, ensure_ascii=False)
        function = {"name": block.name, "arguments": arguments}
        calls.append({"id": block.id, "type": "function", "function": function})
        self._names |= {
            name: at,
            f"{name}.function": at,
            f"{name}.function.arguments": f"{at}.input",
        }

    def _result(self, at: str, block: ToolResultBlock) -> None:
        content = block.content
        texts: list[str] = [content] if isinstance(content, str) else []
        if isinstance(content, list):
            parts = _checked("tool_result", f"{at}.content", content)
            texts = [text for _, part in parts if (text := _told(part))]
        if block.is_error:
            texts = ["Error: " + "".join(texts[:1]), *texts[1:]]
        told = [{"type": "text", "text": text} for text in texts]
        shown: Any = told if len(told) > 1 else "".join(texts)
        here, _ = self._message("tool", at, tool_call_id=block.tool_use_id, content=shown)
        self._names |= {
            f"{here}.content": f"{at}.content",
            f"{here}.tool_call_id": f"{at}.tool_use_id",
            f"{here}.role": f"{at}.type",
        }


def _told(block: Block) -> str:
    """Return what the model sees of a block of a tool's result."""
    if isinstance(block, ToolReferenceBlock):
        return f"The tool {block.tool_name} can be called now."
    assert isinstance(block, TextBlock)
    return block.text


def _checked(
    who: str, place: str, blocks: Sequence[dict[str, Any] | None]
) -> Iterator[tuple[str, Block]]:
    """Give the place of each block, and the block; None is no block."""
    for index, block in enumerate(blocks):
        if block is None:
            continue
        at = f"{place}[{index}]"
        kind = block.get("type")
        model = BLOCKS[who].get(kind) if isinstance(kind, str) else None
        if model is None:
            taken = ", ".join(BLOCKS[who])
            why = NOT_TAKEN.get(str(kind), f"is not taken in a {who} message: {taken}")
            raise invalid(f"{at}.type", f"{kind!r}: {why}")
        try:
            yield at, model.model_validate(block)
        except ValidationError as error:
            raise validation_error(error.errors(include_url=False), at=at) from None
