"""Step times that were measured on an engine."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from gemma4_runtime.strict_yaml import read_mapping
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate.host_times import Measured

__all__ = ["MeasuredSteps", "StepFile", "read_steps"]

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Points = tuple[tuple[Annotated[int, Field(ge=1)], Seconds], ...]


class StepFile(BaseModel):
    """A file of measured steps, YAML or JSON. ``decode``: answers in a step without prompts, and
    its seconds. ``prefill``: prompt tokens in a step with nothing else, and its seconds.
    ``launch_s``: the part of both that a step with both has once. ``context_s``: seconds for each
    token that the answers of a step have already; ``seen_s``: for each prompt token and each token
    that it sees. ``slots``, ``step_tokens``, ``overhead_s``, ``host``: of the engine that was
    measured, see :class:`~gemma4_plan.simulate.fleet.Replica`. ``measured``: on what, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: str
    decode: Annotated[Points, Field(min_length=1)]
    prefill: Annotated[Points, Field(min_length=1)]
    launch_s: Share = 0.0
    context_s: Share = 0.0
    seen_s: Share = 0.0
    slots: Annotated[int, Field(ge=1)]
    step_tokens: Annotated[int, Field(ge=1)]
    overhead_s: Share = 0.0
    host: tuple[tuple[Annotated[int, Field(ge=0)], tuple[Share, ...]], ...] = ()

    @field_validator("decode", "prefill")
    @classmethod
    def _rises(cls, points: Points) -> Points:
        for (before, less), (after, more) in pairwise(points):
            if after <= before or more < less:
                raise ValueError(
                    f"[{after}, {more:g}] comes after [{before}, {less:g}]; both must rise: a "
                    "larger step takes no less time"
                )
        return points

    @field_validator("host")
    @classmethod
    def _even(cls, host: Measured) -> Measured:
        for at, times in host:
            if not times or len(times) != len(host[0][1]) or list(times) != sorted(times):
                raise ValueError(
                    f"[{at}, {list(times)}]: must rise, and have as many seconds as the others"
                )
        loads = [at for at, _ in host]
        if loads != sorted(set(loads)):
            raise ValueError(f"requests at once {loads}: must rise")
        return host


def read_steps(path: Path) -> StepFile:
    """Read a file. Raises :class:`BadQuestionError` that names the place."""
    try:
        return StepFile.model_validate(read_mapping(path))
    except OSError as error:
        raise BadQuestionError(
            f"--steps {path}: {error.strerror or error}; give a file of measured steps "
            "(docs/planning.md)"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadQuestionError(f"--steps {path}: {place}: {first['msg']}") from None
    except ValueError as error:
        raise BadQuestionError(f"--steps {path}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Line:
    """Straight between points; beyond the last one on as between the last two."""

    at: tuple[int, ...]
    values: tuple[float, ...]

    def __call__(self, x: float) -> float:
        at, values = self.at, self.values
        if len(at) == 1:
            return values[0] * max(1.0, x / at[0])
        index = min(max(bisect_right(at, x) - 1, 0), len(at) - 2)
        slope = (values[index + 1] - values[index]) / (at[index + 1] - at[index])
        # Below the first point as little as the line says, yet above nothing.
        return max(values[index] + slope * (x - at[index]), values[0] * 1e-3)


class MeasuredSteps:
    """The step times of a file."""

    def __init__(self, file: StepFile) -> None:
        self._decode = _Line(*map(tuple, zip(*file.decode, strict=True)))
        self._prefill = _Line(*map(tuple, zip(*file.prefill, strict=True)))
        self._launch = file.launch_s
        self._context = file.context_s
        self._seen = file.seen_s
        self._alone: dict[int, float] = {}

    def seconds(self, decode: int, context: float, prefill: int, seen: float) -> float:
        """Return the seconds of a step, see :class:`~gemma4_plan.simulate.steps.StepTimes`."""
        time = self._context * context
        if decode:
            alone = self._alone.get(decode)
            if alone is None:
                alone = self._alone[decode] = self._decode(decode)
            time += alone
        if prefill:
            reading = self._prefill(prefill) + self._seen * prefill * seen
            time += reading if not decode else max(reading - self._launch, 0.0)
        return time
