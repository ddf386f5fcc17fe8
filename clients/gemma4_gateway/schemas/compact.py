"""Body of /v1/responses/compact."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gemma4_gateway.schemas.base import ApiModel, Items
from gemma4_gateway.schemas.responses import MOST_ITEMS, RESPONSES_REFUSED

__all__ = ["CompactRequest"]

_REFUSED = ("image", "prompt_cache_options", "prompt_cache_retention")


class CompactRequest(ApiModel):
    refused: ClassVar[dict[str, str]] = {name: RESPONSES_REFUSED[name] for name in _REFUSED}

    model: str = Field(description="One of the names of /v1/models.")
    input: str | Annotated[list[dict[str, Any]], Items(MOST_ITEMS - 1)] | None = Field(
        None, description="The conversation, or with `previous_response_id` what is new of it."
    )
    instructions: str | None = Field(None, description="Becomes the system message.")
    previous_response_id: str | None = Field(
        None, max_length=128, description="Needs --response-store: what to summarize."
    )
    service_tier: Literal["auto", "default"] | None = Field(None, description="No effect.")
    prompt_cache_key: str | None = Field(
        None, description="Requests with the same key prefer the same back end."
    )
