"""Small random checkpoints with true names and shapes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint

DEMO = Path(__file__).parents[2] / "demo" / "checkpoint"


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    return DEMO


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard. Do not change it: use ``tiny``."""
    folder = tmp_path_factory.mktemp("source") / "tiny"
    write_checkpoint(folder, PRESETS["tiny"], tokenizer=DEMO, shard_bytes=1 << 30)
    return folder


@pytest.fixture(scope="session")
def sharded_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tensors in four shards. Do not change it: use ``sharded``."""
    folder = tmp_path_factory.mktemp("source") / "sharded"
    write_checkpoint(folder, PRESETS["tiny"], tokenizer=DEMO)
    return folder


@pytest.fixture
def tiny(tiny_source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_source, tmp_path / "tiny"))


@pytest.fixture
def sharded(sharded_source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sharded_source, tmp_path / "sharded"))


@pytest.fixture
def edit_json() -> Callable[[Path, Callable[[dict[str, Any]], object]], None]:
    def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return edit


@pytest.fixture
def edit_header() -> Callable[[Path, Callable[[dict[str, Any]], int | None]], None]:
    """Change a safetensors header; the callable may return how many bytes of data to keep."""

    def edit(path: Path, change: Callable[[dict[str, Any]], int | None]) -> None:
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        keep = change(header)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :][:keep])

    return edit
