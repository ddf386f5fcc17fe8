"""llama.cpp with many slots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.settings import Settings
from gemma4_testing.fakes.engine_harness import ask


def test_more_slots_than_the_prefill_batch(
    checkpoint: Path, table: TokenTable, encode: Callable[[str], list[int]], tmp_path: Path
) -> None:
    """llama.cpp aborts the process on a batch smaller than its slots."""
    build_engine(
        BuildRequest(
            checkpoint=checkpoint, out=tmp_path / "e", precision="int8", slots=12,
            prefill_batch=8, max_total_tokens=200, skip_verify=True,
        ),
        SilentReporter(),
    )  # fmt: skip
    settings = Settings(tmp_path / "e", tmp_path, threads=1)
    engine = create_engine(tmp_path / "e", read_manifest(tmp_path / "e"), table, settings)
    sinks = [ask(engine, encode("hello"), key=str(i), max_tokens=5) for i in range(12)]
    assert all(sink.wait().reason in ("stop", "length") for sink in sinks)
    engine.close()
