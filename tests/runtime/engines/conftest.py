"""Shared by the tests of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.engines.base import Engine
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import load_tensorrt_llm
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def encode(checkpoint: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return lambda text: (
        tokenizer.encode(
            f"<bos><|turn>user\n{text}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
        ).ids
    )


@pytest.fixture
def load(checkpoint: Path, table: TokenTable, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Engines with the double of TensorRT-LLM, which are closed afterwards."""
    made: list[Any] = []

    def start(**options: Any) -> Any:
        folder = tmp_path / f"engine-{len(made)}"
        gpus = options.pop("gpus", None)
        any_version = options.pop("any_version", False)
        settings = Settings(
            folder, folder, gpu_device_ids=gpus, trtllm_any_version=any_version,
            cache_dir=options.pop("cache_dir", None),
        )  # fmt: skip
        engine = load_tensorrt_llm(checkpoint, table, folder, settings=settings, **options)
        made.append(engine)
        return engine

    yield start
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def shared(
    checkpoint: Path, table: TokenTable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One such engine for a file of tests."""
    engine = load_tensorrt_llm(checkpoint, table, tmp_path_factory.mktemp("shared") / "engine")
    yield engine
    engine.close()
