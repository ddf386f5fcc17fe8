"""Bodies of /tokenize and /detokenize, in vLLM's form."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from gemma4_gateway.schemas.base import MOST_MESSAGES, MOST_TOOLS, Items, OfModel
from gemma4_gateway.schemas.chat import (
    ADD_GENERATION_PROMPT,
    CONTINUE_FINAL_MESSAGE,
    ChatMessage,
    TemplateOptions,
)
from gemma4_gateway.schemas.tools import Tool

__all__ = ["DetokenizeRequest", "TokenizeRequest"]

_MOST_TOKENS = 131_072
"""Token ids of a request, at most."""
TOKENIZE_REFUSED = {
    "chat_template": "the template is the checkpoint's",
    "mm_processor_kwargs": "text only",
}


class TokenizeRequest(OfModel):
    """``prompt``, or ``messages`` with ``tools``."""

    refused: ClassVar[dict[str, str]] = TOKENIZE_REFUSED

    prompt: str | None = Field(None, min_length=1)
    messages: Annotated[list[ChatMessage], Items(MOST_MESSAGES, 1)] | None = None
    tools: Annotated[list[Tool], Items(MOST_TOOLS)] | None = None
    chat_template_kwargs: TemplateOptions | None = None
    add_special_tokens: bool | None = Field(
        None, description="With prompt: BOS first (default true)."
    )
    add_generation_prompt: bool | None = ADD_GENERATION_PROMPT
    continue_final_message: bool | None = CONTINUE_FINAL_MESSAGE
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give exactly one of prompt and messages")
        if self.prompt is not None and (self.tools or self.chat_template_kwargs):
            raise ValueError("tools and chat_template_kwargs need messages")
        if self.messages is not None and self.add_special_tokens:
            raise ValueError("add_special_tokens needs prompt: the chat template has its own")
        if self.prompt is not None and self.continue_final_message:
            raise ValueError("continue_final_message needs messages")
        return self


class DetokenizeRequest(OfModel):
    most_nodes: ClassVar[int] = _MOST_TOKENS + 1000

    tokens: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Items(_MOST_TOKENS)]
