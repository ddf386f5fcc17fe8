"""What an engine calls the model when nobody says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.model_name import checkpoint_name
from gemma4_runtime.model_name import model_name
from hypothesis import given
from hypothesis import strategies as st

HASH = "0d4bda8e5b7e8a5d4a1c9c1a4b7f0ad3bb8b0f51"
CACHED = f"hub/models--google--gemma-4-26B-A4B-it/snapshots/{HASH}"
PLACES = ["checkpoint", "Checkpoint", "model", "models", "hf", "checkpoint-500", "weights", HASH]


def folder(root: Path, name: str, config: Any = None) -> Path:
    made = root / name
    made.mkdir(parents=True)
    if config is not None:
        (made / "config.json").write_text(json.dumps(config))
    return made


@pytest.mark.parametrize(
    ("name", "config", "called"),
    [
        ("gemma-4-26B-A4B-it", None, "gemma-4-26B-A4B-it"),
        ("my-tune", {"_name_or_path": "google/gemma-4-26B-A4B-it"}, "my-tune"),
        (CACHED, None, "gemma-4-26B-A4B-it"),
        ("x/checkpoint", {"_name_or_path": "google/gemma-4-26B-A4B-it"}, "gemma-4-26B-A4B-it"),
        ("x/checkpoint", {"_name_or_path": "/data/gemma-tuned/"}, "gemma-tuned"),
        ("x/checkpoint", {"_name_or_path": "/data/checkpoint-500"}, "gemma-4"),
        ("x/checkpoint", {"_name_or_path": 7}, "gemma-4"),
        ("x/checkpoint", [], "gemma-4"),
        *((f"x/{place}", None, "gemma-4") for place in PLACES),
        ("x/gemma-4-26B-A4B-it-Q4_0.gguf", None, "gemma-4-26B-A4B-it-Q4_0"),
        ("x/model.gguf", None, "gemma-4"),
    ],
)
def test_a_checkpoint_has_a_name(tmp_path: Path, name: str, config: Any, called: str) -> None:
    assert checkpoint_name(folder(tmp_path, name, config)) == called


def test_the_demo_has_its_own(checkpoint: Path) -> None:
    assert checkpoint_name(checkpoint) == "gemma4-demo"


@pytest.mark.parametrize("place", PLACES)
def test_an_engine_that_was_built_before_has_one_too(place: str) -> None:
    assert model_name(place) == "gemma-4"


@given(st.text(max_size=40))
def test_a_name_is_never_empty_nor_a_place(name: str) -> None:
    found = model_name(name)
    assert found.strip() and found.isprintable() and found.lower() not in PLACES
