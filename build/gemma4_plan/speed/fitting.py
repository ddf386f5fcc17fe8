"""Fit the efficiencies to ``measurements.yaml``, and say how wrong they are for what was held out.

``python -m gemma4_plan.speed.fitting`` prints both and writes ``fitted.yaml``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from gemma4_runtime.strict_yaml import read_mapping
from pydantic import BaseModel, ConfigDict, Field

from gemma4_plan.catalog import Catalog, read_catalog
from gemma4_plan.gpu_memory import Split, rank_of
from gemma4_plan.model import published_model
from gemma4_plan.speed.fitted import Fitted, write_fitted
from gemma4_plan.speed.pace import Efficiency, seconds
from gemma4_plan.speed.work import Step, Work, work_of

__all__ = [
    "Decode", "Measurements", "Prefill", "error_factor", "fit", "fitted", "held_out", "measured_ms",
    "predicted_decode", "predicted_prefill", "read_measurements",
]  # fmt: skip

FILE = Path(__file__).with_name("measurements.yaml")

Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_NVFP4_OF_BF16 = (0.5 + 1 / 16) / 2
"""Bytes of a weight in NVFP4, with its share of a scale, of those in bf16."""


class _Point(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    gpu: str
    precision: Literal["bf16", "fp8", "nvfp4"]
    prompt: Above0
    engine: str
    source: str
    weak: str = ""
    assumed: tuple[str, ...] = ()
    fit: bool = True


class Decode(_Point):
    """A decode step; see ``measurements.yaml``."""

    streams: Above0
    answer: Above0
    step_ms: Above0
    dense: Literal["bf16", "nvfp4"] = "bf16"


class Prefill(_Point):
    """A time to the first token."""

    ms: Above0
    queue: Annotated[int, Field(ge=1)] = 1
    only: Literal["all", "experts"] = "all"


class Measurements(BaseModel):
    """All points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decode: tuple[Decode, ...]
    prefill: tuple[Prefill, ...]


def read_measurements() -> Measurements:
    """Read our file of them."""
    return Measurements.model_validate(read_mapping(FILE))


def predicted_decode(point: Decode, catalog: Catalog, efficiency: Efficiency) -> float:
    """Return the milliseconds of a step, in the mean: beside ``streams`` tokens it has as many
    prompt tokens as keep that many requests coming."""
    step = Step(
        decode=point.streams,
        context=point.prompt + point.answer / 2,
        prefill=point.streams * point.prompt / point.answer,
        prompt=point.prompt,
    )
    scale = _NVFP4_OF_BF16 if point.dense == "nvfp4" else 1.0
    work = work_of(
        published_model(), rank_of(Split(precision=point.precision)), step, tp=1,
        routing=efficiency.routing, dense_scale=scale,
    )  # fmt: skip
    return 1e3 * seconds(work, catalog.gpus[point.gpu], point.precision, efficiency)


def predicted_prefill(point: Prefill, catalog: Catalog, efficiency: Efficiency) -> float:
    """Return the milliseconds to the first token."""
    work = _prefill_work(point, efficiency.routing)
    waited = (point.queue + 1) / 2
    return waited * 1e3 * seconds(work, catalog.gpus[point.gpu], point.precision, efficiency)


def _prefill_work(point: Prefill, routing: float) -> Work:
    step = Step(decode=0, context=0, prefill=point.prompt, prompt=point.prompt)
    rank = rank_of(Split(precision=point.precision))
    work = work_of(published_model(), rank, step, tp=1, routing=routing)
    if point.only == "experts":
        return replace(work, other_flops=0.0, read=rank.experts)
    return work


def fit(points: Measurements, catalog: Catalog) -> Efficiency:
    """Return the efficiencies with the least squared errors of logarithms, in which every GPU
    weighs the same, however many points it has. Compute is fitted to prefill, the rest to decode,
    in turns, since each hardly touches the other."""
    found = Efficiency(memory=0.65, compute=0.25, launch_s=0.003, routing=0.8)
    decode = [point for point in points.decode if point.fit]
    prefill = [point for point in points.prefill if point.fit]
    of_decode = Counter(point.gpu for point in decode)
    of_prefill = Counter(point.gpu for point in prefill)
    for _ in range(4):
        found = _least_squares(
            found, ("memory", "launch_s", "routing"),
            lambda e: [
                _error(predicted_decode(p, catalog, e), p.step_ms) / of_decode[p.gpu] ** 0.5
                for p in decode
            ],
        )  # fmt: skip
        found = _least_squares(
            found, ("compute",),
            lambda e: [
                _error(predicted_prefill(p, catalog, e), p.ms) / of_prefill[p.gpu] ** 0.5
                for p in prefill
            ],
        )  # fmt: skip
    return found


_BOUNDS = {"memory": (0.2, 1.0), "compute": (0.02, 1.0), "launch_s": (1e-4, 0.02),
           "routing": (0.3, 1.0)}  # fmt: skip


def _least_squares(
    start: Efficiency, names: Sequence[str], errors: Callable[[Efficiency], list[float]]
) -> Efficiency:
    """Search by Gauss-Newton in the logarithms of ``names``, which stay within their bounds."""
    if not errors(start):
        return start
    at = np.log([getattr(start, name) for name in names])
    low = np.log([_BOUNDS[name][0] for name in names])
    high = np.log([_BOUNDS[name][1] for name in names])

    def of(place: npt.NDArray[np.float64]) -> Efficiency:
        values = dict(zip(names, map(float, np.exp(place)), strict=True))
        return replace(start, **values)

    def cost(place: npt.NDArray[np.float64]) -> float:
        return float(np.sum(np.square(errors(of(place)))))

    for _ in range(60):
        here = np.array(errors(of(at)))
        columns = []
        for place in range(len(names)):
            moved = at.copy()
            moved[place] += 1e-5
            columns.append((np.array(errors(of(moved))) - here) / 1e-5)
        slope = np.array(columns).T
        normal = slope.T @ slope + 1e-6 * np.eye(len(names))
        step = -np.linalg.solve(normal, slope.T @ here)
        size = 1.0
        while size > 1e-4 and cost(np.clip(at + size * step, low, high)) >= cost(at):
            size /= 2
        if size <= 1e-4:
            break
        at = np.clip(at + size * step, low, high)
    return of(at)


def _error(predicted: float, measured: float) -> float:
    return math.log(predicted / measured)


def held_out(
    points: Measurements, catalog: Catalog, *, whole_gpus: bool
) -> list[tuple[Decode | Prefill, float]]:
    """Return each point with what a fit without it predicts: without the point, or, with
    ``whole_gpus``, without any point of its GPU. A point that is never fitted is predicted by the
    whole fit."""
    whole = fit(points, catalog)
    fits: dict[object, Efficiency] = {}

    def without(point: Decode | Prefill) -> Efficiency:
        if not point.fit:
            return whole
        key: object = point.gpu if whole_gpus else point
        if key not in fits:
            fits[key] = fit(_without(points, key), catalog)
        return fits[key]

    found: list[tuple[Decode | Prefill, float]] = []
    found += [(p, predicted_decode(p, catalog, without(p))) for p in points.decode]
    found += [(p, predicted_prefill(p, catalog, without(p))) for p in points.prefill]
    return found


def measured_ms(point: Decode | Prefill) -> float:
    """Return what was measured."""
    return point.step_ms if isinstance(point, Decode) else point.ms


def error_factor(found: Iterable[tuple[Decode | Prefill, float]]) -> float:
    """Return the factor by which nine of ten predictions are wrong at most."""
    sizes = [abs(_error(predicted, measured_ms(point))) for point, predicted in found]
    return math.exp(float(np.quantile(sizes, 0.9)))


def _without(points: Measurements, left_out: object) -> Measurements:
    """Leave out a point, or all those of a GPU by name."""
    return Measurements(
        decode=tuple(p for p in points.decode if left_out not in (p, p.gpu)),
        prefill=tuple(p for p in points.prefill if left_out not in (p, p.gpu)),
    )


def fitted(points: Measurements, catalog: Catalog) -> Fitted:
    """Fit, and measure how wrong fits like this are."""
    factors = {}
    for whole in (False, True):
        found = held_out(points, catalog, whole_gpus=whole)
        for kind in (Decode, Prefill):
            factors[kind, whole] = error_factor(pair for pair in found if isinstance(pair[0], kind))
    efficiency = fit(points, catalog)
    return Fitted(
        memory=efficiency.memory, compute=efficiency.compute, launch_s=efficiency.launch_s,
        routing=efficiency.routing,
        decode_error=factors[Decode, False], prefill_error=factors[Prefill, False],
        decode_error_elsewhere=factors[Decode, True],
        prefill_error_elsewhere=factors[Prefill, True],
        gpus=tuple(sorted({p.gpu for p in (*points.decode, *points.prefill) if p.fit})),
    )  # fmt: skip


def main() -> None:
    """Write ``fitted.yaml``, and print every point beside what was predicted without it."""
    points, catalog = read_measurements(), read_catalog()
    found = fitted(points, catalog)
    write_fitted(found)
    efficiency = found.efficiency
    for (point, alone), (_, gpu) in zip(
        held_out(points, catalog, whole_gpus=False), held_out(points, catalog, whole_gpus=True),
        strict=True,
    ):  # fmt: skip
        predict = predicted_decode if isinstance(point, Decode) else predicted_prefill
        whole = predict(point, catalog, efficiency)  # type: ignore[arg-type]
        print(
            f"{point.gpu:13} {point.precision:6} {measured_ms(point):9.4g} ms; predicted "
            f"{whole:9.4g}, without it {alone:9.4g}, without its GPU {gpu:9.4g}"
        )
    print(found)


if __name__ == "__main__":
    main()
