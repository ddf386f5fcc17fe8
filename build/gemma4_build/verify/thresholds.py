"""What each precision must reach. Measured figures: bench/RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["THRESHOLDS", "shortfalls"]

THRESHOLDS: dict[str, dict[str, float]] = {
    "f32": {"mean_kl": 1e-5, "top1_agreement": 1.0, "max_abs_delta_logprob": 0.02},
    "bf16": {"mean_kl": 0.005, "top1_agreement": 0.97},
    "int8": {"mean_kl": 0.02, "top1_agreement": 0.95},
    "int4": {"mean_kl": 0.15, "top1_agreement": 0.88},
}


def shortfalls(found: object, limits: Mapping[str, float]) -> str:
    """Return which attributes of ``found`` miss ``limits``, in words; "" for none. Agreement has a
    least value, everything else a most."""
    bad = []
    for name, limit in limits.items():
        value = float(getattr(found, name))
        low = name == "top1_agreement"
        # Written so that NaN fails.
        if not (value >= limit if low else value <= limit):
            bad.append(f"{name} is {value:.3g}, {'least' if low else 'most'} {limit:g}")
    return "; ".join(bad)
