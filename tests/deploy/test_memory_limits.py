"""Memory limits cover what a start with the default slots and tokens pins."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from gemma4_runtime.trtllm.kv_memory import host_cache_bytes
from gemma4_testing.deploy.compose_files import ROOT, services

GIB = 2**30
PROCESSES = 16 * GIB
"""Triton, its models and TensorRT-LLM's workers."""
CHART = ROOT / "deploy" / "helm" / "gemma4-triton"


def size(text: str) -> int:
    """Of Compose (144g) and Kubernetes (144Gi): both are powers of two."""
    found = re.fullmatch(r"(\d+)(?:g|Gi)", text)
    assert found is not None, text
    return int(found[1]) * GIB


def needed(*, precision: str, slots: int, tokens: int, tp: int) -> int:
    element = 2 if precision == "bf16" else 1
    each = host_cache_bytes(slots, tokens, step_tokens=8192, element_bytes=element, tp=tp)
    return each * tp + PROCESSES


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    deeper = {k: merged(base[k], v) for k, v in over.items() if isinstance(base.get(k), dict)}
    return {**base, **over, **deeper}


def test_compose() -> None:
    env = {"GPU": "h100", "CHECKPOINT": "/models/x"}
    command = services("gpu", **env)["engine-build"]["command"]
    slots, tokens = (
        int(command[command.index(option) + 1]) for option in ("--slots", "--max-total-tokens")
    )
    triton = services("gpu", **env)["triton"]
    limit = size(triton["deploy"]["resources"]["limits"]["memory"]) - size(triton["shm_size"])
    assert limit >= needed(precision="bf16", slots=slots, tokens=tokens, tp=1)


@pytest.mark.parametrize("name", ["", "h100", "h200", "b200"])
def test_helm(name: str) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    if name:
        values = merged(values, yaml.safe_load((CHART / "values" / f"{name}.yaml").read_text()))
    build, triton = values["engine"]["build"], values["triton"]
    least = needed(
        precision=build["precision"] or "bf16",
        slots=triton["slots"] or build["slots"],
        tokens=build["maxTotalTokens"],
        tp=values["engine"]["tp"],
    )
    for kind in ("requests", "limits"):
        assert size(triton["resources"][kind]["memory"]) - size(triton["shmSize"]) >= least, kind
