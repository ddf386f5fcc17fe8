"""The measured costs of a host, as ``figures.yaml`` has them, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from gemma4_runtime.strict_yaml import read_mapping
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gemma4_plan.span import Span

__all__ = ["FILE", "HostFigures", "between", "read_figures"]

FILE = Path(__file__).with_name("figures.yaml")

Above0 = Annotated[float, Field(gt=0)]
Points = Sequence[tuple[float, float]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sourced(_Part):
    date: Annotated[str, BeforeValidator(str)]
    source: str


class _Load(_Part):
    streams: int
    tokens_per_s: Above0
    triton_ms: Above0
    gateway_ms: Above0


class _Run(_Sourced):
    day: str
    points: tuple[_Load, ...]


class _Request(_Part):
    prompt: Above0
    tokenizing_ms: Above0
    added_ms: Above0


class _Requests(_Sourced):
    points: tuple[_Request, ...]


class HostFigures(_Part):
    """Milliseconds of one core; see the file."""

    runs: tuple[_Run, ...]
    requests: _Requests

    @property
    def sources(self) -> list[str]:
        """Where the figures come from, each with its date."""
        parts: tuple[_Sourced, ...] = (*self.runs, self.requests)
        return [f"{part.source}, {part.date}" for part in parts]

    def per_token_s(self, part: str, tokens_per_s: float) -> Span:
        """Return the CPU seconds of a token in ``triton`` or ``gateway``, where one of them sends
        ``tokens_per_s``: those of the quiet and of the slow day."""
        found = [
            between(
                [(p.tokens_per_s, getattr(p, f"{part}_ms") / 1e6) for p in run.points], tokens_per_s
            )
            for run in self.runs
        ]
        return Span(min(found), max(found))

    def per_prompt_s(self, tokens: float) -> Span:
        """Return the CPU seconds of a prompt: from tokenizing alone to all that was added, as if
        all of it were work."""
        points = self.requests.points
        low = between([(p.prompt, p.tokenizing_ms / 1e3) for p in points], tokens)
        high = between([(p.prompt, (p.tokenizing_ms + p.added_ms) / 1e3) for p in points], tokens)
        return Span(low, high)


@cache
def read_figures() -> HostFigures:
    """Read our file of them."""
    return HostFigures.model_validate(read_mapping(FILE))


def between(points: Points, at: float) -> float:
    """Return the value at ``at``, by straight lines between the logarithms of rising ``points``;
    beyond the first and the last one, theirs."""
    if at <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if at <= x1:
            share = math.log(at / x0) / math.log(x1 / x0)
            return y0 * math.exp(share * math.log(y1 / y0))
    return points[-1][1]
