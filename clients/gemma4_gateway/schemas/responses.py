"""Body of /v1/responses. Stateless: nothing is stored, so the input is the whole conversation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import MOST_TOOLS, ApiModel, Items, Metadata
from gemma4_gateway.schemas.declared import declared, help_of
from gemma4_gateway.schemas.tools import JsonObjectFormat, TextFormat, ToolName

__all__ = [
    "RESPONSES_REFUSED",
    "NamedResponseTool",
    "ResponseJsonSchema",
    "ResponseTool",
    "ResponsesRequest",
]

_MOST_ITEMS = 4096
"""Input items of a request, at most."""
_STATELESS = "nothing is stored; send the earlier items in `input`"
RESPONSES_REFUSED = {
    "previous_response_id": _STATELESS,
    "conversation": _STATELESS,
    "background": _STATELESS,
    "background_options": _STATELESS,
    "prompt": "there are no stored prompts; send `instructions` and `input`",
    "max_tool_calls": "there are no built-in tools; parallel_tool_calls limits calls",
    "context_management": "a prompt that is too long is refused; shorten it",
    "moderation": "there is no moderation model",
    "access_programs": "there are none",
    "image": "text only",
    "prompt_cache_options": "the engine's prompt cache needs no options",
    "prompt_cache_retention": "the engine's prompt cache has no retention time",
    "stop": "the Responses API has none; use /v1/chat/completions",
}


class ResponseTool(ApiModel):
    """A function. Built-in tools (web_search, ...) do not exist here."""

    refused: ClassVar[dict[str, str]] = {
        "allowed_callers": "the client calls the functions",
        "defer_loading": "there is no tool search",
        "output_schema": "name it response, as Gemma 4's chat template does",
    }
    type: Literal["function"]
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    response: dict[str, Any] | None = Field(None, description="As in /v1/chat/completions.")
    strict: bool | None = Field(None, description="As in /v1/chat/completions.")


class NamedResponseTool(ApiModel):
    type: Literal["function"]
    name: ToolName


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
    refused: ClassVar[dict[str, str]] = {"verbosity": "say it in the instructions"}
    format: ResponseForm | None = None


class Reasoning(ApiModel):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="none: no thinking; anything else: thinking."
    )
    summary: Literal["auto"] | None = Field(
        None, description="No effect: thoughts come whole, as `content` of the reasoning item."
    )


class ResponseStreamOptions(ApiModel):
    include_obfuscation: Literal[False] | None = Field(None, description="Events are not padded.")


class ResponsesRequest(ApiModel):
    refused: ClassVar[dict[str, str]] = RESPONSES_REFUSED

    model: str = Field(description="One of the names of /v1/models.")
    input: str | Annotated[list[dict[str, Any]], Items(_MOST_ITEMS)] = Field(
        min_length=1,
        description="Text, or items: messages, function_call, function_call_output, reasoning.",
    )
    instructions: str | None = Field(None, description="Becomes the system message.")
    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1, lt=2**31)
    temperature: float | None = declared("temperature")
    top_p: float | None = declared("top_p")
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="Not in OpenAI's API.")
    seed: int | None = Field(
        None,
        ge=-(2**63),
        lt=2**63,
        description=f"Not in OpenAI's API. {help_of('random_seed')}",
    )
    tools: Annotated[list[ResponseTool], Items(MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedResponseTool | None = None
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call.")
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    include: Annotated[list[Literal["message.output_text.logprobs"]], Items(16)] | None = None
    top_logprobs: int | None = declared("top_logprobs")
    truncation: Literal["disabled"] | None = Field(None, description="Too long is refused.")
    store: Literal[False] | None = Field(None, description="Nothing is stored.")
    user: str | None = Field(None, description="No effect.")
    metadata: Metadata | None = Field(None, description="Given back; no other effect.")
    service_tier: Literal["auto", "default"] | None = Field(None, description="No effect.")
    safety_identifier: str | None = Field(None, description="No effect.")
    prompt_cache_key: str | None = Field(
        None, description="Requests with the same key prefer the same back end."
    )
