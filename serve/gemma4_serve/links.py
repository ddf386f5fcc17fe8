"""Paths that Triton can take.

Its Python backend starts a model's process with an unquoted ``bash -c`` command, so a path with a
space or another character of the shell's never arrives whole. A colon splits a search path.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from pathlib import Path

from gemma4_serve.errors import ServeError

__all__ = ["Links", "is_plain"]

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+", re.ASCII)
_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


def is_plain(path: Path | str) -> bool:
    """Return True for a path that a shell takes as one word and a search path as one entry."""
    return _PLAIN.fullmatch(str(path)) is not None


class Links:
    """``folder`` is ``run_dir``, or where that is not plain a temporary folder that ends with this
    process. Raises :class:`ServeError` when there is no place for one."""

    def __init__(self, run_dir: Path) -> None:
        self._links: dict[str, Path] = {}
        if is_plain(run_dir):
            self.folder = run_dir
            return
        for parent in filter(is_plain, (tempfile.gettempdir(), *_FOLDERS)):
            try:
                self.folder = Path(tempfile.mkdtemp(prefix="gemma4-links-", dir=parent))
            except OSError:
                continue
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
            return
        raise ServeError(
            f"--run-dir {run_dir}: Triton cannot take this path, and none of {', '.join(_FOLDERS)} "
            "can be written to; name a folder with only letters, digits and ._+- in its path"
        )

    def plain(self, path: Path | str) -> Path:
        """Return ``path`` itself where it is plain, else a symbolic link to it that is."""
        name = str(path)
        if is_plain(name):
            return Path(path)
        if name not in self._links:
            link = self.folder / f"link{len(self._links)}"
            link.unlink(missing_ok=True)
            link.symlink_to(path)
            self._links[name] = link
        return self._links[name]
