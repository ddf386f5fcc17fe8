"""Lines from the keyboard, with editing, history over sessions, and completion of commands."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Lines", "history_path"]

_KEPT = 1000
"""Lines of history that are kept."""


def history_path() -> Path:
    """Return the path that the XDG base directory specification names."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "gemma4" / "chat_history"


class Lines:
    """Uses GNU readline or libedit where Python has it; without it lines are read all the same.
    Use as a context manager: history is written at its end."""

    def __init__(self, path: Path, words: Iterable[str]) -> None:
        self._path = path
        self._words = sorted(words)
        try:
            import readline
        except ImportError:
            self._readline = None
        else:
            self._readline = readline

    def __enter__(self) -> Lines:
        if self._readline is not None:
            with contextlib.suppress(OSError):
                self._readline.read_history_file(self._path)
            self._readline.set_history_length(_KEPT)
            self._readline.set_completer(self._complete)
            self._readline.set_completer_delims("")
            bind = "bind ^I rl_complete" if "libedit" in str(self._readline.__doc__) else ""
            self._readline.parse_and_bind(bind or "tab: complete")
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._readline.write_history_file(self._path)
                self._path.chmod(0o600)

    def _complete(self, text: str, state: int) -> str | None:
        found = [word + " " for word in self._words if word.startswith(text) and text]
        return found[state] if state < len(found) else None

    def read(self, prompt: str) -> str:
        """Read one line; a backslash at its end asks for another. Raises :class:`EOFError` at
        Ctrl-D, :class:`KeyboardInterrupt` at Ctrl-C."""
        lines = [input(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(input("." * (len(prompt) - 1) + " "))
        return "\n".join(lines).strip()
