"""The greedy answers that a build records beside an engine, for the quality gate of a server.

``gemma4 build`` writes ``quality_gate.json``, whose SHA-256 the manifest has like that of every
other file. An engine folder that was built before has none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.strict_json import JsonFileError, parse, read_file

__all__ = [
    "RECORD_NAME",
    "RECORD_VERSION",
    "NoRecordError",
    "RecordedAnswer",
    "RecordedAnswers",
    "read_recorded",
    "synthetic_cycle",
]

RECORD_NAME = "quality_gate.json"
RECORD_VERSION = 2
"""Version of ``quality_gate.json`` that a build writes."""
_READ_VERSIONS = (1, RECORD_VERSION)
"""Versions that the gate reads; it skips a file of another one. 1 has no log-probabilities."""

_MOST_BYTES = 1 << 20
"""Of the file; the build writes some 5 kB."""
_MOST_TOKENS = 100_000
"""Of a prompt or an answer in the file; the build writes 16 and less than 60."""
_AGAIN = "run the same `gemma4 build` again, which adds it and does not convert anew"

Id = Annotated[int, Field(ge=0, lt=2**31)]


class NoRecordError(Exception):
    """There is nothing to compare with; the text says why and what to do, in one line."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecordedAnswer(_Model):
    """``prompt`` and its greedy ``answer`` as token ids, BOS included. ``margins`` are the leads
    (nats) of each answer token over the second most probable one; None: the answer is a
    computation without rounding, so that no position is a near tie. ``log_probs`` (nats) are those
    of the answer's tokens; None where the build has none."""

    name: str
    prompt: Annotated[list[Id], Field(min_length=1, max_length=_MOST_TOKENS)]
    answer: Annotated[list[Id], Field(min_length=1, max_length=_MOST_TOKENS)]
    margins: list[float] | None
    log_probs: list[float] | None = None

    @model_validator(mode="after")
    def _whole(self) -> RecordedAnswer:
        for name in ("margins", "log_probs"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.answer):
                raise ValueError(f"{len(values)} {name} for {len(self.answer)} tokens")
        return self


class RecordedAnswers(_Model):
    """quality_gate.json. ``source`` "engine": what the built engine itself answered; "reference":
    what the float32 reference of the source checkpoint answered, where the machine that built
    cannot run the engine."""

    schema_version: Literal[1, 2]
    source: Literal["engine", "reference"]
    answers: Annotated[list[RecordedAnswer], Field(min_length=1, max_length=64)]


def read_recorded(folder: Path, manifest: Manifest) -> RecordedAnswers:
    """Read the answers of an engine folder. Raises :class:`NoRecordError`."""
    file = folder / RECORD_NAME
    if RECORD_NAME not in manifest.files:
        raise NoRecordError(f"{folder} was built without {RECORD_NAME}; {_AGAIN}")
    try:
        data = parse(read_file(file, most=_MOST_BYTES))
    except (OSError, JsonFileError) as error:
        raise NoRecordError(f"{file} cannot be read ({error}); build again") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version not in _READ_VERSIONS:
        raise NoRecordError(
            f"{file}: schema_version is {version!r}, this version reads 1 to {RECORD_VERSION}; "
            "build again with this version"
        )
    try:
        found = RecordedAnswers.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NoRecordError(f"{file}: {where}: {first['msg']}; build again") from None
    largest = max(max(*each.prompt, *each.answer) for each in found.answers)
    if largest >= manifest.model.vocab_size:
        raise NoRecordError(
            f"{file}: token id {largest} is beyond the vocabulary of {manifest.model.vocab_size}; "
            "build again"
        )
    return found


def synthetic_cycle(prompt: Sequence[int], special: Collection[int]) -> list[int]:
    """Return the tokens that the synthetic runtime answers over and over: the ordinary ones of the
    prompt."""
    return [token for token in prompt if token not in special] or [max(special) + 1]
