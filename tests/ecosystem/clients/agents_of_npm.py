"""What the scripts of coding agents share: they are programs of npm, run without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["HOME", "Done", "json_lines", "run"]

Done = subprocess.CompletedProcess[str]
HOME = Path(os.environ["HOME"])
ANSWER_S = 180 * float(os.environ["PATIENCE"])


def run(program: str, *arguments: str, **env: str) -> Done:
    """Run it in an empty folder with these variables. Raises when it takes too long."""
    work = HOME / "work"
    work.mkdir(exist_ok=True)
    path = Path(os.environ["PACKAGES"]) / "node_modules/.bin" / program
    return subprocess.run(
        [str(path), *arguments], cwd=work, env=os.environ | env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=ANSWER_S, check=False,
    )  # fmt: skip


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
