"""The engine folders of the servers whose alerts are tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_build.manifest import write_manifest
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.recorded_answers import RECORD_NAME

from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT, synthetic_engine
from gemma4_testing.engine_folders.trtllm_folder import make_folder

__all__ = ["Engines", "make_engines"]


@dataclass(frozen=True)
class Engines:
    """All but ``trtllm`` give 50 tokens/s a stream. ``narrow`` has two slots, the others more;
    ``slow`` reads 100 tokens of a prompt a second; ``unrecorded`` has no recorded answers."""

    narrow: Path
    wide: Path
    slow: Path
    unrecorded: Path
    trtllm: Path


def make_engines(folder: Path) -> Engines:
    made = Engines(
        narrow=synthetic_engine(folder / "narrow", tokens_per_s=50, slots=2),
        wide=synthetic_engine(folder / "wide", tokens_per_s=50, slots=32),
        slow=synthetic_engine(folder / "slow", tokens_per_s=50, slots=32, prefill_tokens_per_s=100),
        unrecorded=synthetic_engine(folder / "unrecorded", tokens_per_s=50, slots=2),
        trtllm=make_folder(CHECKPOINT, folder / "trtllm", slots=8),
    )
    _forget_answers(made.unrecorded)
    return made


def _forget_answers(folder: Path) -> None:
    manifest = read_manifest(folder)
    files = {name: entry for name, entry in manifest.files.items() if name != RECORD_NAME}
    (folder / RECORD_NAME).unlink()
    write_manifest(folder, manifest.model_copy(update={"files": files}))
