"""The server's log, read as it is written: Triton's own lines, TensorRT-LLM's, and our models'
JSON, all in one form."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from typing import IO

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.logs.form import LogForm, escaped, written
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.repeats import REPEATED, Repeats
from gemma4_runtime.logs.text import printable, text_line
from gemma4_runtime.logs.writer import writer_of

from gemma4_serve.native_lines import NativeLine, has_gpu, is_noise, native_line, parted
from gemma4_serve.request_line import request_words

__all__ = ["LogPump"]

_LONGEST = 1 << 16
"""Characters of a line; a longer one is cut into several."""
_NO_REASON = "no reason in its log; try --verbose"
_COLORS = re.compile(r"\x1b\[[\d;]*m")
"""Colors that libraries write though nobody looks."""
_ROWS = ("+", "|")
"""What the rows of Triton's tables begin with."""


class LogPump:
    """Reads the server's combined output line by line (run it in a thread). It never stops to read:
    a server whose output nobody takes would stand still. ``write`` must neither raise nor wait."""

    def __init__(
        self, form: LogForm, *, verbose: bool, write: Callable[[str], None] | None = None
    ) -> None:
        """``verbose``: also what Triton and TensorRT-LLM say that is neither a warning nor an
        error. ``write`` takes one line; None: stderr."""
        self._write_line = write or writer_of(2).write
        self._form = form
        self._verbose = verbose
        self._gpu = has_gpu()
        self._repeats = Repeats(self._repeated)
        self._table: bool | None = None  # whether the rows that may follow are shown
        self._newline_is_due = False  # of a message behind which another line came
        self._problems: deque[str] = deque(maxlen=30)
        self._plain: deque[str] = deque(maxlen=10)

    def forget(self) -> None:
        """Forget the words of a server that has ended: another one starts."""
        self._problems.clear()
        self._plain.clear()

    @property
    def refused_a_model(self) -> bool:
        """Whether the server said that it cannot load a model."""
        return any(map(_is_refusal, self._problems))

    def last_words(self) -> str:
        """Say why a server ended: its last errors, and what its processes wrote in no known form,
        such as the words of the dynamic loader."""
        return "\n".join([*self._problems, *dict.fromkeys(self._plain)]) or _NO_REASON

    def run(self, stream: IO[str]) -> None:
        """Read ``stream`` to its end."""
        while text := stream.readline(_LONGEST):
            try:
                self.line(text.rstrip("\n"))
            except Exception as error:  # noqa: BLE001 - the server must not wait for its reader
                log_event("log_line_broke", level="error", error=repr(error))

    def line(self, text: str) -> None:
        """Pass on one line. Left out, but with ``verbose``, are Triton's and TensorRT-LLM's news
        that nothing is wrong, and what Triton says of GPUs where there is none."""
        if self._newline_is_due and not text:
            self._newline_is_due = False
            return
        parts = parted(text)
        self._newline_is_due |= len(parts) > 1
        for part in parts:
            self._one(part)

    def _one(self, text: str) -> None:
        native = native_line(text)
        if native is not None:
            shown = self._native(native)
            self._table = None if native.text else shown
        elif self._table is not None and (not text or text.startswith(_ROWS)):
            if self._table:
                self._unknown(text)
        elif text.startswith("{"):
            self._ours(text)
        elif not is_noise(text) or self._gpu or self._verbose:
            if text.strip():
                self._plain.append(text)
            self._unknown(text)

    def _native(self, line: NativeLine) -> bool:
        """Pass on a line of Triton's or TensorRT-LLM's; return whether it is shown."""
        noise = is_noise(line.text) and not self._gpu
        if line.level in ("error", "fatal") and not noise:
            reason = line.text.split("\\n\\nAt:")[0]  # without the Python stack of a model
            if _is_refusal(reason) or not self._problems:
                self._problems.append(reason)
        if (noise or line.level == "info") and not self._verbose:
            return False
        if not self._repeats.admit(line.source, line.level, {"message": line.text}):
            return True  # the rows of a table that follow, too
        fields = log_fields(line.source, {"message": line.text}, level=line.level, longest=_LONGEST)
        if self._form == "json":
            self._write_line(written(fields, form="json"))
            return True
        if line.clock:
            fields["time"] = f"{str(fields['time'])[:11]}{line.clock}"
        words = f"{line.place} {line.text}"
        self._write_line(text_line(fields, color=self._form == "color", words=words))
        return True

    def _repeated(self, source: str, times: int) -> None:
        fields = log_fields(REPEATED, {"of": source, "times": times}, level="warning")
        self._write_line(written(fields, form=self._form))

    def _ours(self, text: str) -> None:
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            self._unknown(text)
        elif self._form == "json":
            self._write_line(escaped(text))
        else:
            words = request_words(fields) if fields.get("event") == "request" else None
            self._write_line(text_line(fields, color=self._form == "color", words=words))

    def _unknown(self, text: str) -> None:
        """Pass on a line of no known form: as it is, or in a JSON object."""
        text = _COLORS.sub("", text)
        if self._form == "json":
            fields = log_fields("output", {"message": text}, longest=_LONGEST)
            self._write_line(written(fields, form="json"))
        else:
            self._write_line(printable(text.replace("\t", "    ")))


def _is_refusal(reason: str) -> bool:
    return reason.startswith("failed to load")
