"""What the bodies share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NO_EFFECT", "ApiModel", "Sampling", "StreamOptions", "StructuredOutputs"]

NO_EFFECT = {
    "user": "informative",
    "metadata": "informative; nothing is stored",
    "store": "only false: nothing is stored",
    "service_tier": "only auto or default: there is one tier",
    "safety_identifier": "informative",
}
"""Parameters that are accepted and change nothing."""


class ApiModel(BaseModel):
    """Strict: no coercion, no unknown names. ``refused`` maps the parameters that other servers
    have and this one has not to the reason; null is allowed for them."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    refused: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if isinstance(data, dict) and any(k in cls.refused and v is None for k, v in data.items()):
            return {k: v for k, v in data.items() if k not in cls.refused or v is not None}
        return data


class StreamOptions(ApiModel):
    refused: ClassVar[dict[str, str]] = {
        "continuous_usage_stats": "usage comes once, at the end: use include_usage",
    }
    include_usage: bool | None = Field(None, description="Usage in one more chunk at the end.")
    include_obfuscation: Literal[False] | None = Field(None, description="Events are not padded.")


class StructuredOutputs(ApiModel):
    """vLLM's extension; exactly one of the fields."""

    json_schema: dict[str, Any] | None = Field(None, alias="json", description="A JSON schema.")
    regex: str | None = Field(None, min_length=1)
    choice: list[str] | None = Field(None, min_length=1)
    grammar: str | None = Field(None, min_length=1, description="GBNF with a rule `root`.")

    @model_validator(mode="after")
    def _one(self) -> StructuredOutputs:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of json, regex, choice, grammar")
        return self


Stop = Annotated[str | list[str] | None, Field(description="Strings that end the answer.")]


class Sampling(ApiModel):
    """Options of /v1/chat/completions and /v1/completions. What is left out comes from the
    checkpoint's generation_config.json."""

    model: str = Field(description="One of the names of /v1/models.")
    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=16, description="Answers; seed + i for the i-th.")
    temperature: float | None = Field(None, ge=0, le=100, description="0 is greedy.")
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="0 or -1: off.")
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop = None
    bad_words: list[str] | None = Field(None, description="Words that must not occur.")
    max_tokens: int | None = Field(None, ge=1, lt=2**31, description="Default: all the room.")
    min_tokens: int | None = Field(None, ge=0, lt=2**31)
    ignore_eos: bool | None = Field(None, description="Generate to max_tokens; for benchmarks.")
    structured_outputs: StructuredOutputs | None = None
    user: str | None = Field(None, description="No effect.")
    metadata: dict[str, str] | None = Field(None, description="No effect.")
    store: Literal[False] | None = Field(None, description="No effect; nothing is stored.")
    service_tier: Literal["auto", "default"] | None = Field(None, description="No effect.")
    safety_identifier: str | None = Field(None, description="No effect.")
    prompt_cache_key: str | None = Field(
        None, description="Requests with the same key prefer the same back end."
    )
