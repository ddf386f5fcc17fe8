"""What the bodies share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import GroupedMetadata
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator
from pydantic_core import PydanticCustomError

from gemma4_gateway.body.bounds import MOST_NODES
from gemma4_gateway.errors import UNSUPPORTED
from gemma4_gateway.schemas.declared import declared, help_of
from gemma4_gateway.schemas.peers import PEERS
from gemma4_gateway.schemas.usual import USUAL, is_usual, refusal

__all__ = [
    "MOST_MESSAGES",
    "MOST_PARTS",
    "MOST_TOOLS",
    "NO_EFFECT",
    "ApiModel",
    "Items",
    "Metadata",
    "OfModel",
    "OnlyFalse",
    "Pairs",
    "Sampling",
    "StreamOptions",
    "StructuredOutputs",
]

MOST_MESSAGES = 1024
"""Messages of a request: as many as the server takes."""
MOST_PARTS = 1024
"""Parts of a message, at most."""
MOST_TOOLS = 128
"""Tools of a request: as many as the server takes."""
_MOST_FIELDS = 128
"""Fields of a body, at most."""


@dataclass(frozen=True)
class Pairs(GroupedMetadata):
    """Bounds of a dictionary, checked before any item is looked at: an item costs time to check,
    in which nothing else is done."""

    max_length: int
    min_length: int | None = None

    def __iter__(self) -> Iterator[Any]:
        yield Field(min_length=self.min_length, max_length=self.max_length)
        yield BeforeValidator(self._check)

    def _check(self, value: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > self.max_length:
            lengths = {"actual_length": len(value), "max_length": self.max_length}
            raise PydanticCustomError(
                "too_long", "{actual_length} items; at most {max_length}", lengths
            )
        return value


@dataclass(frozen=True)
class Items(Pairs):
    """The same of a list, whose first item that is wrong ends the check."""

    def __iter__(self) -> Iterator[Any]:
        yield FailFast()
        yield from super().__iter__()


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise PydanticCustomError("bool_type", "must be false")
    return value


Metadata = Annotated[dict[str, str], Pairs(64)]
OnlyFalse = Annotated[Literal[False] | None, BeforeValidator(_no_number)]
"""false or null. To Python 0 is false, and to pydantic's literals too."""

NO_EFFECT = {
    "user": "informative",
    "metadata": "informative; nothing is stored",
    "store": "only false: nothing is stored",
    "service_tier": "only auto or default: there is one tier",
    "safety_identifier": "informative",
}
"""Parameters that are accepted and change nothing."""


class ApiModel(BaseModel):
    """Strict: no coercion, no unknown names but with null. ``refused`` maps the parameters that
    OpenAI's API or Anthropic's has and this server has not to the reason, and ``peers`` those that
    other servers have. ``usual`` maps some of them to the values that ask for what happens anyway;
    these are taken. ``no_effect`` says why a parameter changes nothing. ``most_nodes`` bounds the
    values in a body."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    refused: ClassVar[dict[str, str]] = {}
    peers: ClassVar[dict[str, str]] = {}
    usual: ClassVar[dict[str, tuple[Any, ...]]] = USUAL
    no_effect: ClassVar[dict[str, str]] = NO_EFFECT
    most_nodes: ClassVar[int] = MOST_NODES

    @model_validator(mode="before")
    @classmethod
    def _drop_what_asks_for_nothing(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if len(data) > _MOST_FIELDS:
            raise ValueError(f"{len(data)} fields; at most {_MOST_FIELDS}")
        known = _names(cls)
        others = {name: value for name, value in data.items() if name not in known}
        for name, value in others.items():
            reasons = cls.refused if name in cls.refused else cls.peers
            if value is None or is_usual(value, cls.usual.get(name, ())) or name not in reasons:
                continue
            context = {"name": name, "reason": refusal(name, reasons, cls.usual)}
            raise PydanticCustomError(UNSUPPORTED, "{name}: {reason}", context)
        gone = {
            name
            for name, value in others.items()
            if value is None or name in cls.refused or name in cls.peers
        }
        return {k: v for k, v in data.items() if k not in gone} if gone else data


@cache
def _names(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields as clients name them."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


class OfModel(ApiModel):
    """A body whose route puts the served model's name in where the client names none: it may be
    left out, as with vLLM, and with OpenAI in /v1/responses."""

    model: str | None = Field(
        None, description="One of the names of /v1/models; default: the served one."
    )

    @property
    def named(self) -> str:
        """Return the name, once the route has put it in."""
        assert self.model, "the route has not called Gateway.check_model"
        return self.model


class StreamOptions(ApiModel):
    include_usage: bool | None = Field(None, description="Usage in one more chunk at the end.")
    continuous_usage_stats: bool | None = Field(
        None,
        description="With include_usage: every chunk has the tokens of its choice so far. Without "
        "it: no effect.",
    )
    include_obfuscation: OnlyFalse = Field(None, description="Events are not padded.")


class StructuredOutputs(ApiModel):
    """vLLM's extension; exactly one of the fields."""

    json_schema: dict[str, Any] | None = Field(None, alias="json", description="A JSON schema.")
    regex: str | None = Field(None, min_length=1)
    choice: Annotated[list[str], Items(4096, 1)] | None = None
    grammar: str | None = Field(None, min_length=1, description="GBNF with a rule `root`.")

    @model_validator(mode="after")
    def _one(self) -> StructuredOutputs:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of json, regex, choice, grammar")
        return self


LogitBias = Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Pairs(1024)]

Stop = Annotated[
    str | Annotated[list[str], Items(16)] | None,
    Field(description="Strings that end the answer."),
]


class Sampling(OfModel):
    """Options of /v1/chat/completions and /v1/completions. What is left out comes from the
    checkpoint's generation_config.json."""

    peers: ClassVar[dict[str, str]] = PEERS

    stream: bool | None = Field(False, description="Server-sent events.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=16, description="Answers; seed + i for the i-th.")
    # options that are passed on: made of gemma4_runtime/contract by `make generate`; do not edit
    temperature: float | None = declared("temperature")
    top_p: float | None = declared("top_p")
    min_p: float | None = declared("min_p")
    repetition_penalty: float | None = declared("repetition_penalty")
    presence_penalty: float | None = declared("presence_penalty")
    frequency_penalty: float | None = declared("frequency_penalty")
    min_tokens: int | None = declared("min_tokens")
    include_stop_str_in_output: bool | None = declared("include_stop_str_in_output")
    # end of options that are passed on
    top_k: int | None = Field(None, ge=-1, lt=2**31, description="0 or -1: off.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description=help_of("random_seed"))
    stop: Stop = None
    logit_bias: LogitBias | None = Field(
        None, description="Token ids and what is added to their logits, -100 to 100 each."
    )
    stop_token_ids: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Items(128)] | None = (
        Field(None, description=help_of("stop_token_ids"))
    )
    bad_words: Annotated[list[str], Items(256)] | None = Field(
        None, description="Words that must not occur."
    )
    max_tokens: int | None = Field(None, ge=1, lt=2**31, description="Default: all the room.")
    ignore_eos: bool | None = Field(None, description="Generate to max_tokens; for benchmarks.")
    structured_outputs: StructuredOutputs | None = None
    return_token_ids: bool | None = Field(
        None, description="token_ids of the answer and prompt_token_ids, as vLLM has them."
    )
    user: str | None = Field(None, description="No effect.")
    metadata: Metadata | None = Field(None, description="No effect.")
    store: OnlyFalse = Field(None, description="No effect; nothing is stored.")
    service_tier: Literal["auto", "default"] | None = Field(None, description="No effect.")
    safety_identifier: str | None = Field(None, description="No effect.")
    prompt_cache_key: str | None = Field(
        None, description="Requests with the same key prefer the same back end."
    )
