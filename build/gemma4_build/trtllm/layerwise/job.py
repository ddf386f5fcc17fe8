"""What the child process is asked to do, as a JSON file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["SCRATCH", "Job"]

SCRATCH = ".quantizing"
"""Folder inside ``export``: the job, the log, and what an interrupted run needs to go on."""


@dataclass(frozen=True, slots=True)
class Job:
    """``samples`` are token ids, of which at most ``pack_tokens`` go through a layer at once (a
    longer one alone). ``recipe`` is a name that ModelOpt knows, or a file. ``device`` is torch's
    name of where the layers compute, ``threads`` how many the CPU gives.

    ``split_experts``: the recipe needs every expert's matrices as linear layers."""

    checkpoint: str
    export: str
    recipe: str
    samples: list[list[int]]
    device: str
    split_experts: bool
    pack_tokens: int
    threads: int

    @property
    def folder(self) -> Path:
        return Path(self.export)

    @property
    def scratch(self) -> Path:
        return self.folder / SCRATCH

    def digest(self, *versions: str) -> str:
        """Return the SHA-256 of what decides the result; ``versions`` are those of the software."""
        device = self.device.partition(":")[0]
        parts = [self.recipe, self.samples, self.pack_tokens, device, *versions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the file. Raises :class:`OSError`."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read a job. Raises :class:`OSError`, and :class:`ValueError` or :class:`TypeError` for
        another file."""
        return cls(**json.loads(path.read_text()))
