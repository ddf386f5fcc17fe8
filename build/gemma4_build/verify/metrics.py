"""How far an engine's distributions are from the reference's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gemma4_build.errors import EngineRunError
from gemma4_build.verify.engine_run import Generated

__all__ = ["Comparison", "compare", "greedy", "log_softmax"]

_REST = 1e-6
"""Least probability of the bucket for the rest: the sum of 20 float32 values is no better."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Over all generated positions. See :class:`gemma4_runtime.manifest.Quality`."""

    positions: int
    mean_kl: float
    p99_kl: float
    top1_agreement: float
    max_abs_delta_logprob: float


def compare(pairs: Iterable[tuple[npt.NDArray[np.float32], Generated]]) -> Comparison:
    """Compare answers. ``pairs``: reference logits [positions, vocab] given the engine's own tokens
    so far, and what the engine generated at those positions. Raises :class:`EngineRunError` where
    the engine gives no finite probability."""
    divergences: list[float] = []
    agreed: list[bool] = []
    deltas: list[float] = []
    for logits, generated in pairs:
        for row, chosen, top in zip(logits, generated.ids, generated.top, strict=True):
            reference = log_softmax(row)
            engine = dict(top)
            if not math.isfinite(engine.get(chosen, math.nan)):
                raise EngineRunError(
                    f"the built engine computes no probability for the token {chosen} that it "
                    "chose: its numbers overflow; use a higher --precision"
                )
            divergences.append(_divergence(reference, top))
            agreed.append(int(reference.argmax()) == chosen)
            deltas.append(abs(float(reference[chosen]) - engine[chosen]))
    return Comparison(
        positions=len(divergences),
        mean_kl=float(np.mean(divergences)),
        p99_kl=float(np.percentile(divergences, 99)),
        top1_agreement=float(np.mean(agreed)),
        max_abs_delta_logprob=float(max(deltas)),
    )


def _divergence(reference: npt.NDArray[np.float64], top: tuple[tuple[int, float], ...]) -> float:
    """Return KL(reference || engine) in nats over the engine's top tokens and one bucket for the
    rest: a lower bound of the whole divergence (data-processing inequality)."""
    ids = [token for token, _ in top]
    p = np.exp(reference[ids])
    q = np.exp(np.array([value for _, value in top], dtype=np.float64))
    p_all = np.append(p, max(_REST, 1 - p.sum()))
    q_all = np.append(q, max(_REST, 1 - q.sum()))
    least = np.finfo(np.float64).tiny
    p_all = np.maximum(p_all / p_all.sum(), least)
    q_all = np.maximum(q_all / q_all.sum(), least)
    return float(np.sum(p_all * np.log(p_all / q_all)))


def log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the logarithm of the softmax over the last axis, [..., vocab]."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return wide


def greedy(row: npt.NDArray[np.float32]) -> tuple[int, float]:
    """Return the most probable token of logits [vocab], and its lead over the second in nats."""
    second, best = np.partition(row, -2)[-2:]
    return int(row.argmax()), round(float(best - second), 4)
