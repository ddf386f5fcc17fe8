"""Thinking in a request of Anthropic's Messages API, and what happens to earlier thoughts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from gemma4_gateway.schemas.base import ApiModel, Items

__all__ = ["ContextManagement", "Thinking"]


class BlockBinding(ApiModel):
    """No effect: signatures are not looked at, so no block that comes back fails a check."""

    prefix_mismatch_behavior: Literal["error", "drop_block"] | None = None


class Thinking(ApiModel):
    """Some of Anthropic's models write notes on their progress between calls, beside thoughts.
    Gemma writes none: what asks for these alone asks for nothing."""

    type: Literal["enabled", "adaptive", "disabled", "between_tools"] = Field(
        description="enabled and adaptive: thinking; disabled (default) and between_tools: none."
    )
    budget_tokens: int | None = Field(
        None, ge=1, lt=2**31, description="Not enforced: max_tokens bounds thoughts and answer."
    )
    display: Literal["summarized", "updates", "omitted"] | None = Field(
        None,
        description="summarized (default): thoughts come whole, as they are made; omitted, and "
        "updates, which shows notes on progress only: without their text.",
    )
    block_binding: BlockBinding | None = Field(
        None, description="No effect: signatures are not looked at."
    )

    @property
    def on(self) -> bool:
        """Return whether the model thinks."""
        return self.type in ("enabled", "adaptive")

    @property
    def shown(self) -> bool:
        """Return whether the text of thoughts is part of the answer."""
        return self.display in (None, "summarized")


class ClearThinking(ApiModel):
    """No effect: the chat template leaves out the thoughts of earlier turns."""

    type: Literal["clear_thinking_20251015"]
    keep: Any = None

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, kind: Any) -> Any:
        if isinstance(kind, str) and kind != "clear_thinking_20251015":
            raise ValueError(
                "only clear_thinking_20251015 is taken: nothing else is left out of a "
                "conversation; leave it out of messages yourself"
            )
        return kind


class ContextManagement(ApiModel):
    edits: Annotated[list[ClearThinking], Items(16)] | None = None
