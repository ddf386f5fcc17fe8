"""What llama.cpp remembers of prompts: a conversation goes on where it was, also after others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp.loading import load_server
from gemma4_runtime.manifest import read_manifest

DEMO = Path("demo/checkpoint").resolve()
_WINDOW = 64
_LONG = 700
"""Tokens of a conversation: many windows, and more than the cells of the sliding layers."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reuse")
    preset = replace(PRESETS["tiny"], window=_WINDOW)
    write_checkpoint(folder / "c", preset, tokenizer=DEMO, vision=False)
    request = BuildRequest(
        checkpoint=folder / "c", out=folder / "e", precision="int8", slots=1,
        max_total_tokens=1024, prefill_batch=16, skip_verify=True,
    )  # fmt: skip
    build_engine(request, SilentReporter())
    return folder / "e"


def load(engine: Path, cache_mib: int) -> Any:
    manifest = read_manifest(engine)
    assert manifest.llama_cpp is not None
    info = EngineInfo("llama_cpp", "", manifest.precision, 1, 0, 1024, manifest.model.vocab_size)
    return load_server(engine / "model.gguf", info, manifest.llama_cpp, 1, cache_mib=cache_mib)


@pytest.fixture(scope="module")
def server(engine: Path) -> Iterator[Any]:
    yield load(engine, 64)


def talk(seed: int, length: int) -> list[int]:
    """Ids of a conversation; those of different seeds share no beginning."""
    return [600 + seed, *(600 + (seed * 131 + i * 17) % 900 for i in range(length - 1))]


def cached(server: Any, ids: list[int], answer: int = 4) -> int:
    """Ask, and return how many tokens of the prompt were remembered."""
    found: list[int] = []

    def on_event(data: bytes) -> bool:
        if progress := orjson.loads(data).get("prompt_progress"):
            found.append(progress["cache"])
        return False

    body = {
        "prompt": ids, "stream": True, "return_progress": True, "n_predict": answer,
        "cache_prompt": True, "temperature": 0.0,
    }  # fmt: skip
    server.handle_completions(orjson.dumps(body), on_event)
    return found[0]


def test_the_next_turn_is_not_read_again_though_the_answer_changed(server: Any) -> None:
    """The next turn leaves out what the model thought, which is longer than what the sliding layers
    still have: the one checkpoint of the slot is enough."""
    first = talk(1, _LONG)
    cached(server, first, answer=300)
    assert cached(server, [*first, *talk(2, 40)]) >= _LONG - 8


def test_a_conversation_survives_others_in_between(server: Any) -> None:
    """With one slot, every other conversation takes it."""
    first = talk(3, _LONG)
    assert cached(server, first) == 0
    for other in range(4, 7):
        assert cached(server, talk(other, _LONG)) == 0
    assert cached(server, [*first, *talk(7, 40)]) >= _LONG - 8


def test_without_memory_for_it_only_the_slot_remembers(engine: Path) -> None:
    """The test above can fail: it does where no memory is left for other conversations."""
    server = load(engine, 0)
    first = talk(3, _LONG)
    cached(server, first)
    assert cached(server, [*first, *talk(7, 40)]) >= _LONG - 8
    cached(server, talk(4, _LONG))
    assert cached(server, first) == 0
