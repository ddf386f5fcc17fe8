"""Body of /v1/responses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import (
    MOST_TOOLS,
    NO_EFFECT,
    ApiModel,
    Items,
    Metadata,
    OfModel,
    OnlyFalse,
    Pairs,
)
from gemma4_gateway.schemas.declared import declared, help_of
from gemma4_gateway.schemas.peers import PEERS
from gemma4_gateway.schemas.response_tools import AnyTool, ToolChoice
from gemma4_gateway.schemas.tools import JsonObjectFormat, TextFormat

__all__ = [
    "ENCRYPTED",
    "LOG_PROBS",
    "MOST_ITEMS",
    "RESPONSES_REFUSED",
    "ResponseJsonSchema",
    "ResponsesRequest",
]

LOG_PROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"
Include = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
]
"""All but the first two ask for parts of items that no answer has here."""
MOST_ITEMS = 4096
"""Input items of a request, at most."""
RESPONSES_REFUSED = {
    "conversation": "use previous_response_id, or send the earlier items in `input`",
    "background": "the client waits for the answer; use stream",
    "background_options": "the client waits for the answer; use stream",
    "prompt": "there are no stored prompts; send `instructions` and `input`",
    "context_management": "a prompt that is too long is refused; shorten it",
    "moderation": "there is no moderation model",
    "access_programs": "there are none",
    "image": "text only",
    "prompt_cache_options": "the engine's prompt cache needs no options",
    "prompt_cache_retention": "the engine's prompt cache has no retention time",
    "stop": "the Responses API has none; use /v1/chat/completions",
}


class ResponseJsonSchema(ApiModel):
    type: Literal["json_schema"]
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = Field(None, description="The output follows the schema in any case.")


ResponseForm = Annotated[
    TextFormat | JsonObjectFormat | ResponseJsonSchema, Field(discriminator="type")
]


class TextOptions(ApiModel):
    format: ResponseForm | None = None
    verbosity: Literal["low", "medium", "high"] | None = Field(
        None, description="Only medium, unless the gateway has --drop-unsupported."
    )


Summary = Literal["auto", "concise", "detailed"]


class Reasoning(ApiModel):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="none: no thinking; anything else: thinking."
    )
    summary: Summary | None = Field(
        None, description="No effect: thoughts come whole, as `content` of the reasoning item."
    )
    generate_summary: Summary | None = Field(None, description="The old name of summary.")


class ResponseStreamOptions(ApiModel):
    include_obfuscation: OnlyFalse = Field(None, description="Events are not padded.")


class ResponsesRequest(OfModel):
    peers: ClassVar[dict[str, str]] = PEERS
    refused: ClassVar[dict[str, str]] = RESPONSES_REFUSED
    no_effect: ClassVar[dict[str, str]] = {
        name: why for name, why in NO_EFFECT.items() if name != "store"
    } | {
        "max_tool_calls": "there are no built-in tools, whose calls it limits",
        "client_metadata": "informative",
    }

    input: str | Annotated[list[dict[str, Any]], Items(MOST_ITEMS)] = Field(
        min_length=1,
        description="Text, or items: messages, function_call, function_call_output, reasoning.",
    )
    instructions: str | None = Field(None, description="Becomes the system message.")
    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1, lt=2**31)
    temperature: float | None = declared("temperature")
    top_p: float | None = declared("top_p")
    presence_penalty: float | None = declared("presence_penalty")
    frequency_penalty: float | None = declared("frequency_penalty")
    min_p: float | None = declared("min_p", beside="Not in OpenAI's API.")
    repetition_penalty: float | None = declared("repetition_penalty", beside="Not in OpenAI's API.")
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="Not in OpenAI's API.")
    seed: int | None = Field(
        None,
        ge=-(2**63),
        lt=2**63,
        description=f"Not in OpenAI's API. {help_of('random_seed')}",
    )
    tools: Annotated[list[AnyTool], Items(MOST_TOOLS)] | None = Field(
        None, description="Functions, namespaces of functions, custom tools without a grammar."
    )
    tool_choice: ToolChoice | None = Field(None, description="Default auto with tools, else none.")
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call.")
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    include: Annotated[list[Include], Items(16)] | None = Field(
        None, description=f"{LOG_PROBS}, {ENCRYPTED}; the others have no effect."
    )
    top_logprobs: int | None = declared("top_logprobs")
    truncation: Literal["disabled"] | None = Field(None, description="Too long is refused.")
    max_tool_calls: int | None = Field(None, ge=1, lt=2**31, description="No effect.")
    client_metadata: Annotated[dict[str, Any], Pairs(64)] | None = Field(
        None, description="No effect."
    )
    store: bool | None = Field(
        None, description="true needs --response-store, and is the default with it."
    )
    previous_response_id: str | None = Field(
        None, max_length=128, description="Needs --response-store: what to continue."
    )
    user: str | None = Field(None, description="No effect.")
    metadata: Metadata | None = Field(None, description="Given back; no other effect.")
    service_tier: Literal["auto", "default"] | None = Field(None, description="No effect.")
    safety_identifier: str | None = Field(None, description="No effect.")
    prompt_cache_key: str | None = Field(
        None, description="Requests with the same key prefer the same back end."
    )
