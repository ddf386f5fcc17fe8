"""Body of /v1/completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag

from gemma4_gateway.schemas.base import Items, Sampling
from gemma4_gateway.schemas.chat import SAMPLING_REFUSED
from gemma4_gateway.schemas.tools import ResponseFormat

__all__ = ["COMPLETION_REFUSED", "CompletionRequest"]

_MOST_PROMPTS = 64
"""Prompts of a request, at most."""
_MOST_CHARS = 2**20
"""Characters of a prompt, at most."""
_MOST_TOKENS = 2**18
"""Token ids of a prompt, at most, as of the server."""
COMPLETION_REFUSED = SAMPLING_REFUSED | {
    "suffix": "the model was not trained to fill in the middle",
    "add_special_tokens": "BOS is put first once before text, and before token ids never",
    "prompt_embeds": "text only",
}

Text = Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]
TokenIds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Items(_MOST_TOKENS, 1)]


def _kind(prompt: Any) -> str:
    """Return the tag of what a prompt looks like, by its first item."""
    if not isinstance(prompt, list):
        return "str"
    first = prompt[0] if prompt else ""
    if isinstance(first, list):
        return "list[list[int]]"
    return "list[str]" if isinstance(first, str) else "list[int]"


Prompt = Annotated[
    Annotated[Text, Tag("str")]
    | Annotated[list[Text], Items(_MOST_PROMPTS, 1), Tag("list[str]")]
    | Annotated[TokenIds, Tag("list[int]")]
    | Annotated[list[TokenIds], Items(_MOST_PROMPTS, 1), Tag("list[list[int]]")],
    Discriminator(_kind),
]


class CompletionRequest(Sampling):
    refused: ClassVar[dict[str, str]] = COMPLETION_REFUSED
    most_nodes: ClassVar[int] = _MOST_TOKENS + 1000

    prompt: Prompt = Field(
        description="Text or a list of token ids, or at most 64 of either that are answered one by "
        "one. Before text BOS is added, and turn and channel markers in it are control tokens; to "
        "token ids nothing is added.",
    )
    echo: bool | None = Field(None, description="Put the prompt before the text; needs text.")
    logprobs: int | None = Field(
        None, ge=0, le=20, description="Log-probs of the chosen token and so many most probable."
    )
    response_format: ResponseFormat | None = None
