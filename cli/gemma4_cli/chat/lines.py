"""Questions from the keyboard, with editing, history over sessions, and completion of commands.

prompt_toolkit rather than Python's ``readline``: a paste of several lines is one question in every
build of Python. GNU readline can do that too, but Python switches it off, and builds with libedit
(macOS, python-build-standalone) cannot.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemma4_cli.chat.question import block_is_open, question_of

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.output.vt100 import Vt100_Output

__all__ = ["Lines", "history_path"]

_KEPT_BYTES = 512 * 1024
"""Bytes of history; of a longer one, the older half goes."""


def history_path() -> Path:
    """Return the path that the XDG base directory specification names."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "gemma4" / "chat_history"


class Lines:
    """Use as a context manager."""

    def __init__(self, path: Path, words: Iterable[str]) -> None:
        self._path = path
        self._words = sorted(words)
        self._session: PromptSession[str] | None = None
        self._output: Vt100_Output | None = None
        self.abandoned = False
        """Whether there was some text when Ctrl-C was pressed."""

    def __enter__(self) -> Lines:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.layout.processors import TabsProcessor
        from prompt_toolkit.output.vt100 import Vt100_Output
        from prompt_toolkit.shortcuts import CompleteStyle

        with contextlib.suppress(OSError):
            _prepare(self._path)
        self._output = output = Vt100_Output.from_pty(sys.stdout, term=os.environ.get("TERM"))
        output.enable_cpr = False  # it need not know where the cursor is; not all terminals tell
        self._session = PromptSession(
            history=_history(self._path),
            completer=WordCompleter([f"{word} " for word in self._words], sentence=True),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            enable_suspend=True,
            input_processors=[TabsProcessor()],
            key_bindings=_keys(),
            prompt_continuation=lambda width, *_: "." * (width - 1) + " ",
            output=output,
        )
        self._ask_for_pastes()
        return self

    def __exit__(self, *_: object) -> None:
        if self._output is not None:
            self._output.disable_bracketed_paste()
            self._output.flush()
        self._session = self._output = None

    def _ask_for_pastes(self) -> None:
        """Ask the terminal to tell pastes, also while an answer comes."""
        assert self._output is not None
        self._output.enable_bracketed_paste()
        self._output.flush()

    def read(self, prompt: str) -> str:
        """Read one question: a line, a paste of several, or a block between lines of three
        quotation marks. A backslash at the end of a line, or Alt-Enter, begins another one. Raises
        :class:`EOFError` at Ctrl-D, :class:`KeyboardInterrupt` at Ctrl-C."""
        assert self._session is not None
        self.abandoned = False
        try:
            return question_of(self._session.prompt(prompt))
        except KeyboardInterrupt:
            self.abandoned = bool(self._session.default_buffer.text)
            raise
        finally:
            self._ask_for_pastes()  # no more, says the prompt at its end


def _keys() -> KeyBindings:
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()
    text = Condition(lambda: block_is_open(_buffer().text))
    backslash = Condition(lambda: _buffer().document.text_before_cursor.endswith("\\"))

    @keys.add("escape", "enter")
    @keys.add("enter", filter=text)
    def another_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("enter", filter=backslash & ~text)
    def instead_of_the_backslash(event: Any) -> None:
        event.current_buffer.delete_before_cursor()
        event.current_buffer.insert_text("\n")

    return keys


def _buffer() -> Any:
    from prompt_toolkit.application import get_app

    return get_app().current_buffer


def _history(path: Path) -> Any:
    from prompt_toolkit.history import FileHistory

    class Kept(FileHistory):
        """Without a place to write to, there is the history of this session."""

        def load_history_strings(self) -> Iterable[str]:
            try:
                return [*super().load_history_strings()]
            except OSError:
                return []

        def store_string(self, string: str) -> None:
            with contextlib.suppress(OSError, UnicodeError):
                super().store_string(string)

    return Kept(str(path))


def _prepare(path: Path) -> None:
    """Make the file for this user only, and drop its older half where it is large. Raises
    :class:`OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    path.chmod(0o600)
    data = path.read_bytes()
    if len(data) > _KEPT_BYTES:
        newer = data[len(data) // 2 :]
        path.write_bytes(newer[newer.find(b"\n# ") + 1 :])  # from an entry's first line on
