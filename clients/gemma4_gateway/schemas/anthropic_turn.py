"""A turn of Anthropic's Messages API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gemma4_gateway.schemas.anthropic_blocks import Blocks
from gemma4_gateway.schemas.base import ApiModel

__all__ = ["Effort", "TurnParam"]

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class TurnEffort(ApiModel):
    effort: Effort | None = Field(None, description="No effect: the model has no such setting.")


class TurnParam(ApiModel):
    role: Literal["user", "assistant", "system"]
    content: str | Blocks | None = Field(
        None, description="Text, or blocks: text, thinking, tool_use, tool_result."
    )
    clear_at: Literal["next_user_message", "never"] | None = Field(
        None,
        description="Of a system turn. next_user_message: the model sees it until a later turn of "
        "the user.",
    )
    output_config: TurnEffort | None = Field(
        None, description="Of a system turn, which then needs no content. No effect."
    )

    @model_validator(mode="after")
    def _of_its_role(self) -> TurnParam:
        for name in ("clear_at", "output_config"):
            if self.role != "system" and getattr(self, name) is not None:
                raise ValueError(f"{name} belongs to a turn of role system")
        if self.content is None and not (self.output_config and self.output_config.effort):
            raise ValueError("content is required")
        return self
