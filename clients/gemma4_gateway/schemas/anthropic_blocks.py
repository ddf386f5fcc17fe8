"""Content blocks of Anthropic's Messages API. A block is checked by the model of its ``type``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import MOST_PARTS, ApiModel, Items

__all__ = [
    "BLOCKS",
    "NOT_TAKEN",
    "Block",
    "Blocks",
    "CacheControl",
    "FallbackBlock",
    "RedactedThinkingBlock",
    "TextBlock",
    "ThinkingBlock",
    "ToolReferenceBlock",
    "ToolResultBlock",
    "ToolUseBlock",
]

CacheControl = Annotated[
    dict[str, Any] | None,
    Field(description="No effect: the engine caches the start of every prompt."),
]
Blocks = Annotated[list[dict[str, Any]], Items(MOST_PARTS)]


class Block(ApiModel):
    """What every block has."""

    cache_control: CacheControl = None


class TextBlock(Block):
    refused: ClassVar[dict[str, str]] = {"citations": "the model cites nothing; leave it out"}
    type: Literal["text"]
    text: str


class ThinkingBlock(Block):
    type: Literal["thinking"]
    thinking: str
    signature: str | None = Field(None, description="Not looked at.")


class RedactedThinkingBlock(Block):
    """Of another model. Nobody else can read it."""

    type: Literal["redacted_thinking"]
    data: str


class FallbackBlock(Block):
    """Where another model went on with an answer. The model here does not see it."""

    type: Literal["fallback"]
    from_: dict[str, Any] = Field(alias="from")
    to: dict[str, Any]
    trigger: Any = None


class ToolUseBlock(Block):
    refused: ClassVar[dict[str, str]] = {
        "caller": "the model itself calls the tools",
        "toolset_name": "there are no toolsets",
    }
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


class ToolReferenceBlock(Block):
    """From here on the model sees a tool that has ``defer_loading``."""

    type: Literal["tool_reference"]
    tool_name: str


class ToolResultBlock(Block):
    refused: ClassVar[dict[str, str]] = {"toolset_name": "there are no toolsets"}
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | Blocks | None = None
    is_error: bool | None = Field(None, description="The model sees `Error: ` before the content.")


BLOCKS: dict[str, dict[str, type[Block]]] = {
    "system": {"text": TextBlock},
    "user": {"text": TextBlock, "tool_result": ToolResultBlock},
    "assistant": {
        "text": TextBlock,
        "thinking": ThinkingBlock,
        "redacted_thinking": RedactedThinkingBlock,
        "fallback": FallbackBlock,
        "tool_use": ToolUseBlock,
    },
    "tool_result": {"text": TextBlock, "tool_reference": ToolReferenceBlock},
}
"""By who says it, and ``type``."""
_NO_TOOLS = "this server runs no tools; send what it found as a text block, or leave it out"
_TOOLS_OF_SERVERS = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "advisor_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
)
NOT_TAKEN = dict.fromkeys(_TOOLS_OF_SERVERS, _NO_TOOLS) | {
    "image": "the model is served for text only; describe the image in a text block",
    "document": "the model is served for text only; send what it says as a text block",
    "search_result": "send what was found as a text block",
    "container_upload": "there is no code execution",
    "compaction": "send its summary as a text block",
    "tool_addition": "declare the tool in tools, with defer_loading to show it later",
    "tool_removal": "leave the tool out of tools",
    "tool_reference": "belongs into the content of a tool_result",
}
"""Types of blocks that others take, and what to send instead."""
