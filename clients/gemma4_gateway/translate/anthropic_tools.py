"""Which tools of /v1/messages the model sees, and as what."""

from __future__ import annotations

from collections.abc import Iterator

from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessageTool, ToolChoice
from gemma4_gateway.schemas.tools import FunctionTool, NamedFunction, NamedTool, Tool

__all__ = ["chat_choice", "chat_tool", "seen_tools"]

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def seen_tools(body: CountTokensRequest) -> list[tuple[int, MessageTool]]:
    """Return the tools that the model sees, each with its place in ``tools``: all but those with
    ``defer_loading`` that neither a tool_reference block nor ``tool_choice`` has named. The blocks
    of ``messages`` have been checked. Raises :class:`~gemma4_gateway.errors.ApiError` 400 for a
    reference to a tool that is not declared."""
    tools = body.tools or []
    declared = {tool.name for tool in tools}
    named = set()
    for at, name in _references(body):
        if name not in declared:
            raise invalid(
                f"{at}.tool_name", f"{name!r}: is not among tools; declare it, with defer_loading"
            )
        named.add(name)
    if body.tool_choice is not None and body.tool_choice.name is not None:
        named.add(body.tool_choice.name)
    return [
        (index, tool)
        for index, tool in enumerate(tools)
        if not tool.defer_loading or tool.name in named
    ]


def _references(body: CountTokensRequest) -> Iterator[tuple[str, str]]:
    """Give the place and the tool's name of every tool_reference block."""
    for turn, message in enumerate(body.messages):
        if not isinstance(message.content, list):
            continue
        for index, block in enumerate(message.content):
            parts = block.get("content") if block.get("type") == "tool_result" else None
            for part, found in enumerate(parts if isinstance(parts, list) else ()):
                if found.get("type") == "tool_reference":
                    yield f"messages[{turn}].content[{index}].content[{part}]", found["tool_name"]


def chat_choice(choice: ToolChoice | None) -> str | NamedTool | None:
    """Return the ``tool_choice`` of a chat that asks the same."""
    if choice is None:
        return None
    if choice.name is not None:
        return NamedTool(type="function", function=NamedFunction(name=choice.name))
    return _CHOICES[choice.type]


def chat_tool(tool: MessageTool) -> Tool:
    """Return the tool of a chat that is the same."""
    return Tool(
        type="function",
        function=FunctionTool(
            name=tool.name,
            description=tool.description,
            parameters=tool.input_schema,
            response=None,
            strict=tool.strict,
        ),
    )
