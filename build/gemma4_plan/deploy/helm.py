"""Values of deploy/helm/gemma4-triton."""

from __future__ import annotations

from typing import Any

import yaml

from gemma4_plan.deploy.chosen import Chosen, gateway_replicas, triton_cores

__all__ = ["CLAIM", "values", "values_text"]

CLAIM = "gemma-4-checkpoint"
"""Name for the claim that holds the checkpoint: the one value that a user has to know better."""


def values(chosen: Chosen) -> dict[str, Any]:
    """Return the values as a mapping."""
    split, memory = chosen.split, f"{chosen.memory_gib()}Gi"
    extra = ["--quantize", split.quantize] if split.quantize != "experts" else []
    build: dict[str, Any] = {"checkpointClaim": CLAIM, "precision": split.precision}
    if chosen.build_gpu:
        build["gpu"] = chosen.build_gpu
    build |= {
        "ep": split.ep,
        "preset": chosen.preset,
        "slots": chosen.slots,
        "maxTotalTokens": chosen.max_total_tokens,
    }
    if extra or split.pad:
        build["extraArgs"] = [*extra, *(["--pad-experts"] if split.pad else [])]
    return {
        "engine": {"tp": split.tp, "build": build},
        "triton": {
            "replicas": chosen.replicas,
            "gpus": split.tp,
            "resources": {
                "requests": {"cpu": str(triton_cores(chosen)), "memory": memory},
                "limits": {"memory": memory},
            },
        },
        "gateway": {"replicas": gateway_replicas(chosen)},
    }


def values_text(chosen: Chosen) -> str:
    """Return them as YAML."""
    text: str = yaml.safe_dump(values(chosen), sort_keys=False, default_flow_style=None)
    return text
