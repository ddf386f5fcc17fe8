"""What each precision must reach. Measured figures: docs/build.md."""

from __future__ import annotations

__all__ = ["THRESHOLDS"]

THRESHOLDS: dict[str, dict[str, float]] = {
    "f32": {"mean_kl": 1e-5, "top1_agreement": 1.0, "max_abs_delta_logprob": 0.02},
    "bf16": {"mean_kl": 0.005, "top1_agreement": 0.97},
    "int8": {"mean_kl": 0.02, "top1_agreement": 0.95},
    "int4": {"mean_kl": 0.15, "top1_agreement": 0.88},
}
