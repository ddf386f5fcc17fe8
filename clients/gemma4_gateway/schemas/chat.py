"""Body of /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import (
    MOST_MESSAGES,
    MOST_PARTS,
    MOST_TOOLS,
    ApiModel,
    Items,
    Sampling,
)
from gemma4_gateway.schemas.declared import declared, help_of
from gemma4_gateway.schemas.tools import ChatToolChoice, ResponseFormat, Tool
from gemma4_gateway.schemas.usual import USUAL

__all__ = [
    "ADD_GENERATION_PROMPT",
    "CHAT_REFUSED",
    "CONTINUE_FINAL_MESSAGE",
    "Caller",
    "ChatCompletionRequest",
    "ChatMessage",
    "TemplateOptions",
]

_GUIDES = "use response_format or structured_outputs"
SAMPLING_REFUSED = {
    "best_of": "use n and choose yourself",
    "use_beam_search": "the engines sample only",
    "length_penalty": "it belongs to beam search, and the engines sample only",
    "skip_special_tokens": "control tokens are never part of the output",
    "spaces_between_special_tokens": "control tokens are never part of the output",
    "truncate_prompt_tokens": "a prompt that is too long is refused; shorten it",
    "prompt_logprobs": "the engines give log-probs of generated tokens only",
    "allowed_token_ids": "use structured_outputs",
    "guided_json": _GUIDES,
    "guided_regex": _GUIDES,
    "guided_choice": _GUIDES,
    "guided_grammar": _GUIDES,
    "guided_decoding_backend": _GUIDES,
    "logits_processors": "no code is taken from clients",
    "priority": "requests of a key are served in the order of arrival",
}
CHAT_REFUSED = SAMPLING_REFUSED | {
    "audio": "text only",
    "modalities": "text only; leave it out",
    "prediction": "predicted outputs are not supported",
    "moderation": "there is no moderation model",
    "web_search_options": "there is no web search",
    "functions": "deprecated; use tools",
    "function_call": "deprecated; use tool_choice",
    "verbosity": "the model has no such setting; say it in the system message",
    "prompt_cache_options": "the engine's prompt cache needs no options",
    "prompt_cache_retention": "the engine's prompt cache has no retention time",
    "echo": "a chat is not echoed",
    "add_special_tokens": "the chat template has its own",
    "documents": "put them into a message",
    "chat_template": "the template is the checkpoint's",
    "mm_processor_kwargs": "text only",
}


ADD_GENERATION_PROMPT: Any = Field(
    None, description="Only true (default), or false with continue_final_message."
)
CONTINUE_FINAL_MESSAGE: Any = Field(None, description=help_of("continue_final_message"))


class CalledFunction(ApiModel):
    name: str
    arguments: str = Field(description="JSON object as text.")
    parsed_arguments: Any = Field(
        None, description="Added by the openai package's parse(); no effect."
    )


class Caller(ApiModel):
    """A tool call of an earlier answer."""

    id: str | None = None
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class ChatMessage(ApiModel):
    """As clients keep them: null fields of an answer may come back."""

    refused: ClassVar[dict[str, str]] = {
        "audio": "text only",
        "function_call": "deprecated; use tool_calls",
    }
    usual: ClassVar[dict[str, tuple[Any, ...]]] = {}
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[dict[str, Any]], Items(MOST_PARTS)] | None = Field(
        None, description='Text, or parts {"type": "text", "text": ...}.'
    )
    name: str | None = None
    tool_calls: Annotated[list[Caller], Items(MOST_TOOLS)] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = Field(None, description="Thoughts of an earlier answer.")
    reasoning: str | None = Field(None, description="The same under vLLM's name.")
    refusal: str | None = None
    annotations: Annotated[list[dict[str, Any]], Items(0)] | None = None
    parsed: Any = Field(None, description="Added by the openai package's parse(); no effect.")
    provider_specific_fields: Any = Field(None, description="Added by LiteLLM; no effect.")


class TemplateOptions(ApiModel):
    enable_thinking: bool | None = None


class ChatCompletionRequest(Sampling):
    refused: ClassVar[dict[str, str]] = CHAT_REFUSED
    usual: ClassVar[dict[str, tuple[Any, ...]]] = USUAL | {"add_special_tokens": (False,)}

    messages: Annotated[list[ChatMessage], Items(MOST_MESSAGES, 1)]
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31, description="As max_tokens.")
    tools: Annotated[list[Tool], Items(MOST_TOOLS)] | None = None
    tool_choice: ChatToolChoice | None = Field(
        None, description="Default auto with tools, else none."
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call.")
    response_format: ResponseFormat | None = Field(
        None, description="Binds the final message: thoughts and tool calls come before it."
    )
    logprobs: bool | None = Field(None, description="Log-probs of the chosen tokens.")
    top_logprobs: int | None = declared("top_logprobs")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="none: no thinking; anything else: thinking."
    )
    chat_template_kwargs: TemplateOptions | None = None
    add_generation_prompt: bool | None = ADD_GENERATION_PROMPT
    continue_final_message: bool | None = CONTINUE_FINAL_MESSAGE
