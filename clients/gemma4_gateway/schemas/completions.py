"""Body of /v1/completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from gemma4_gateway.schemas.base import Items, Sampling
from gemma4_gateway.schemas.chat import SAMPLING_REFUSED
from gemma4_gateway.schemas.tools import ResponseFormat

__all__ = ["COMPLETION_REFUSED", "CompletionRequest"]

_MOST_PROMPTS = 64
"""Prompts of a request, at most."""
COMPLETION_REFUSED = SAMPLING_REFUSED | {
    "suffix": "the model was not trained to fill in the middle",
    "add_special_tokens": "BOS is put first once, always",
    "prompt_embeds": "text only",
}


class CompletionRequest(Sampling):
    refused: ClassVar[dict[str, str]] = COMPLETION_REFUSED

    prompt: str | Annotated[list[str], Items(_MOST_PROMPTS)] = Field(
        min_length=1,
        max_length=2**20,
        description="Text, or at most 64 texts that are answered one by one. BOS is added; turn "
        "and channel markers are control tokens. Token ids are not taken.",
    )
    echo: bool | None = Field(None, description="Put the prompt before the text.")
    logprobs: int | None = Field(
        None, ge=0, le=20, description="Log-probs of the chosen token and so many most probable."
    )
    response_format: ResponseFormat | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _text(cls, prompt: Any) -> Any:
        some = prompt[:_MOST_PROMPTS] if isinstance(prompt, list) else []
        if any(isinstance(item, int | list) for item in some):
            raise ValueError("token ids are not taken; send text")
        return prompt
