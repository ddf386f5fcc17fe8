"""Bodies of Anthropic's /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from gemma4_gateway.schemas.anthropic_blocks import Blocks, CacheControl
from gemma4_gateway.schemas.anthropic_thinking import ContextManagement, Thinking
from gemma4_gateway.schemas.anthropic_turn import Effort, TurnParam
from gemma4_gateway.schemas.base import MOST_MESSAGES, MOST_TOOLS, ApiModel, Items
from gemma4_gateway.schemas.declared import declared
from gemma4_gateway.schemas.peers import PEERS
from gemma4_gateway.schemas.tools import ToolName
from gemma4_gateway.schemas.usual import USUAL

__all__ = [
    "MESSAGES_REFUSED",
    "CountTokensRequest",
    "MessageTool",
    "MessagesRequest",
    "ToolChoice",
]

MESSAGES_REFUSED = {
    "container": "there is no code execution",
    "mcp_servers": "the client connects to MCP servers; declare their tools in tools",
    "output_format": "send it as output_config.format",
    "inference_geo": "requests are answered where this server is",
    "speed": "there is one speed",
    "fallbacks": "there is one model; choose another one yourself",
    "thread": "nothing is stored; send the whole conversation in messages",
    "compaction": "a prompt that is too long is refused; shorten it",
    "diagnostics": "nothing is stored to compare with",
    "service_tier": "there is one tier",
    "billing_policy": "nobody is billed",
    "fallback_credit_token": "nobody is billed",
}


class MessageTool(ApiModel):
    """A tool that the client runs."""

    refused: ClassVar[dict[str, str]] = {
        "allowed_callers": "the model itself calls the tools",
        "input_examples": "put them into the description",
    }
    type: Literal["custom"] | None = None
    name: ToolName
    description: str | None = None
    input_schema: dict[str, Any] = Field(description="JSON schema of type object.")
    strict: bool | None = Field(None, description="As in /v1/chat/completions.")
    defer_loading: bool | None = Field(
        None,
        description="true: the model sees the tool once a tool_reference block, or tool_choice, "
        "names it.",
    )
    eager_input_streaming: bool | None = Field(
        None, description="No effect: input of a call is streamed whole, forced input as it comes."
    )
    cache_control: CacheControl = None

    @field_validator("type", mode="before")
    @classmethod
    def _custom(cls, kind: Any) -> Any:
        if isinstance(kind, str) and kind != "custom":
            raise ValueError(
                "only tools of type custom are taken: this server runs no tools, and the model "
                "knows none by heart; declare it with name, description and input_schema"
            )
        return kind


class ToolChoice(ApiModel):
    type: Literal["auto", "any", "tool", "none"]
    name: ToolName | None = Field(None, description="With type tool.")
    disable_parallel_tool_use: bool | None = Field(None, description="true: at most one call.")

    @model_validator(mode="after")
    def _named(self) -> ToolChoice:
        if (self.type == "tool") != (self.name is not None):
            raise ValueError("name belongs to type tool, which needs it")
        return self


class JsonFormat(ApiModel):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(ApiModel):
    refused: ClassVar[dict[str, str]] = {"task_budget": "use max_tokens"}
    effort: Effort | None = Field(
        None, description="No effect: the model has no such setting; see thinking."
    )
    format: JsonFormat | None = None


class MessageMetadata(ApiModel):
    user_id: str | None = None


class CountTokensRequest(ApiModel):
    """The part of a request that becomes the prompt, and what has no effect."""

    refused: ClassVar[dict[str, str]] = MESSAGES_REFUSED
    peers: ClassVar[dict[str, str]] = PEERS
    usual: ClassVar[dict[str, tuple[Any, ...]]] = USUAL | {
        "service_tier": ("auto", "standard_only"),
    }

    model: str = Field(description="One of the names of /v1/models.")
    messages: Annotated[list[TurnParam], Items(MOST_MESSAGES, 1)] = Field(
        description="Turns; the answer goes on with the text of a last one of the assistant."
    )
    system: str | Blocks | None = Field(None, description="Text, or text blocks.")
    tools: Annotated[list[MessageTool], Items(MOST_TOOLS)] | None = None
    tool_choice: ToolChoice | None = Field(None, description="Default auto with tools, else none.")
    thinking: Thinking | None = None
    output_config: OutputConfig | None = Field(
        None, description="`format` binds the final message; `effort` has no effect."
    )
    context_management: ContextManagement | None = Field(
        None, description="Only clear_thinking_20251015, which has no effect."
    )
    cache_control: CacheControl = None


class MessagesRequest(CountTokensRequest):
    max_tokens: int = Field(
        ge=1, lt=2**31, description="Of thoughts and answer. Beyond the engine's room: all of it."
    )
    stream: bool | None = Field(False, description="Server-sent events.")
    stop_sequences: Annotated[list[str], Items(16)] | None = Field(
        None, description="Strings that end the answer."
    )
    temperature: float | None = declared("temperature")
    top_p: float | None = declared("top_p")
    top_k: int | None = Field(None, ge=0, lt=2**31, description="0: off.")
    metadata: MessageMetadata | None = Field(None, description="No effect.")
