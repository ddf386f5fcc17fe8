"""Does the dynamic loader find all that Triton's programs need? A model's process that cannot load
is no error to Triton: it waits for it without end."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from gemma4_runtime.needs import explain_library

from gemma4_serve.errors import ServeError

__all__ = ["check_loads"]

_TIMEOUT_S = 60
"""Seconds that a program has to load its libraries and end."""
_NOT_FOUND = re.compile(r"error while loading shared libraries: ([^:\s]+): cannot open")
_LOADER_FAILED = 127
"""Exit status of a program whose libraries the dynamic loader did not find."""


def check_loads(program: Path, *args: str, env: dict[str, str]) -> None:
    """Run ``program`` with ``args``, which should make it end at once, and ``env`` on top of ours.
    Raises :class:`ServeError` with the loader's words when it cannot be loaded; what the program
    itself says to ``args`` does not matter."""
    try:
        done = subprocess.run(
            [program, *args],
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise ServeError(f"{program} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ServeError(
            f"{program} did not end within {_TIMEOUT_S} s; is the disk slow?"
        ) from None
    words = done.stderr.decode(errors="replace").strip()
    if done.returncode == _LOADER_FAILED:
        library = _NOT_FOUND.search(words)
        way_out = f"\n{explain_library(library[1])}" if library else ""
        raise ServeError(f"{words or f'{program} cannot be loaded'}{way_out}")
    if done.returncode < 0:
        raise ServeError(
            f"{program} was ended by signal {-done.returncode} while it loaded: {words}"
        )
