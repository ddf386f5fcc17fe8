"""The lines of ``.env`` for docker-compose.yml, which runs one server on one machine."""

from __future__ import annotations

from gemma4_plan.deploy.chosen import Chosen

__all__ = ["env_lines"]


_GATEWAY_RUNNING = 1024
"""Answers at once that docker-compose.yml's gateway takes unless it is told."""


def env_lines(chosen: Chosen) -> list[str]:
    """Return ``NAME=value`` lines; none where Compose's build has no such options."""
    split = chosen.split
    if split.quantize != "experts" or split.pad or not chosen.build_gpu:
        return []
    values: dict[str, str | int] = {
        "GPU": chosen.build_gpu,
        "CHECKPOINT": "/models/gemma-4-26B-A4B-it",
        "PRECISION": split.precision,
        "TP": split.tp,
        "EP": split.ep,
        "PRESET": chosen.preset,
        "SLOTS": chosen.slots,
        "MAX_TOTAL_TOKENS": chosen.max_total_tokens,
        "MEMORY": f"{chosen.memory_gib()}g",
    }
    if chosen.slots > _GATEWAY_RUNNING:
        values["GATEWAY_MAX_RUNNING"] = chosen.slots
    return [f"{name}={value}" for name, value in values.items()]
