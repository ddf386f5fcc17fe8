"""The tables that config.json is read and written by."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.model_spec import (
    TEXT_KEYS,
    VISION_KEYS,
    TextSizes,
    VisionSizes,
    parse_config,
)
from gemma4_build.random_checkpoint import PRESETS, config_for

DEMO = Path(__file__).parents[2] / "demo" / "checkpoint" / "config.json"


@pytest.mark.parametrize(
    ("sizes", "keys", "section"),
    [(TextSizes, TEXT_KEYS, "text_config"), (VisionSizes, VISION_KEYS, "vision_config")],
)
def test_each_size_has_a_key_of_the_published_file(sizes: Any, keys: Any, section: Any) -> None:
    """The demo's file is written in the published style, and not by these tables."""
    assert [field.name for field in dataclasses.fields(sizes)] == list(keys)
    assert set(keys.values()) <= set(json.loads(DEMO.read_text())[section])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_read_as_it_was_written(name: str) -> None:
    preset = PRESETS[name]
    spec = parse_config(config_for(preset, preset.vocab or 5000), where=name)
    for key in TEXT_KEYS:
        assert getattr(spec, key) == getattr(preset, key)
    for key in VISION_KEYS:
        assert getattr(spec.vision, key) == getattr(preset.vision, key)
    assert spec.vocab == (preset.vocab or 5000)
    assert spec.sliding.count(False) == preset.layers // (preset.pattern + 1)
