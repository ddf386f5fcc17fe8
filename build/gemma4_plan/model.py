"""The model that is planned for."""

from __future__ import annotations

from functools import cache

from gemma4_build.model_spec import ModelSpec, parse_config
from gemma4_build.random_checkpoint import PRESETS, config_for

__all__ = ["published_model"]


@cache
def published_model() -> ModelSpec:
    """Return the sizes of google/gemma-4-26B-A4B-it (its config.json)."""
    preset = PRESETS["26b"]
    return parse_config(config_for(preset, preset.vocab or 0), where="26b")
