"""Proof that the numbers of a quantized checkpoint are its source's, but for rounding."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gemma4_build.errors import QuantizationError
from gemma4_build.progress import Reporter
from gemma4_build.reference.ops import Array
from gemma4_build.reference.weights import Weights
from gemma4_build.shards import StoredTensor
from gemma4_build.trtllm.formats import (
    Format,
    Linear,
    Scheme,
    checkpoint_parts,
    folded_norm,
    linears,
)
from gemma4_build.trtllm.quantized import Stored, decode_linear

__all__ = ["check_against_source", "relative_error"]

MOST_ERROR: dict[Format, float] = {"fp8": 0.04, "nvfp4": 0.14, "w4a8": 0.25}
"""Most relative RMS error of one matrix. Rounding of normally distributed values gives 0.026 (E4M3,
3 bits of mantissa), 0.095 (E2M1 in blocks of 16) and 0.11 (int4 in blocks of 128, before AWQ)."""

_STEP = 8 << 20
"""Elements to compare at once, so that memory does not grow with a tensor."""
_MOST_THREADS = 8
"""Each holds a matrix a few times over, 0.2 GB for the 26B's largest."""


def relative_error(found: Array, exact: Array) -> float:
    """Return the RMS of the difference over RMS of ``exact``."""
    size = float(np.sqrt(np.mean(np.square(exact))))
    return float(np.sqrt(np.mean(np.square(found - exact)))) / max(size, 1e-30)


def check_against_source(
    source: Weights,
    original: Stored,
    scheme: Scheme,
    stored: Stored,
    reporter: Reporter,
    threads: int | None = None,
) -> float:
    """Check that what is not quantized is bit for bit the source's, and every quantized matrix is
    the source's within rounding. Return the largest relative RMS error. Raises
    :class:`QuantizationError`.

    ``threads`` None: as many as there are cores, 8 at most."""
    spec = source.spec
    quantized = [linear for linear in linears(spec) if linear.kind in scheme.kinds]
    folded = set()
    if scheme.format == "w4a8":
        folded = {folded_norm(linear) for linear in linears(spec)}
    exact = [
        name
        for name in (part.name for part in checkpoint_parts(spec, None))
        if name not in folded and name in stored and stored[name].dtype == "BF16"
    ]

    def error_of(linear: Linear) -> float:
        return _error(linear, source, original, scheme, stored)

    threads = threads or min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    total = sum(stored[name].read_size for name in exact) + sum(2 * q.size for q in quantized)
    worst = 0.0
    with reporter.bytes("Comparing", total=total) as tick, ThreadPoolExecutor(threads) as pool:
        try:
            for name in exact:
                _same_bits(original[name], stored[name])
                tick(stored[name].read_size)
            for linear, error in zip(quantized, pool.map(error_of, quantized), strict=True):
                # Written so that NaN fails.
                if not error <= MOST_ERROR[scheme.format]:
                    raise QuantizationError(
                        f"{linear.name} differs from the source by {error:.3g} of its size, more "
                        f"than {scheme.name} may ({MOST_ERROR[scheme.format]:g})"
                    )
                worst = max(worst, error)
                tick(2 * linear.size)
        finally:
            pool.shutdown(cancel_futures=True)
    return worst


def _error(
    linear: Linear, source: Weights, original: Stored, scheme: Scheme, stored: Stored
) -> float:
    exact = source.tensors[linear.source].read_float32(linear.first, linear.size)
    found = decode_linear(linear, scheme, stored)
    norm_name = folded_norm(linear) if scheme.format == "w4a8" else None
    if norm_name is not None:
        scaling = stored[norm_name].read_float32() / original[norm_name].read_float32()
        found = (found.reshape(-1, linear.inner) * scaling).reshape(-1)
    return relative_error(found, exact)


def _same_bits(original: StoredTensor, tensor: StoredTensor) -> None:
    for first in range(0, original.size, _STEP):
        count = min(_STEP, original.size - first)
        same = original.dtype == tensor.dtype and np.array_equal(
            original.read(first, count), tensor.read(first, count)
        )
        if not same and not np.array_equal(
            original.read_float32(first, count), tensor.read_float32(first, count)
        ):
            raise QuantizationError(f"{tensor.name} is not quantized, yet not the source's")
