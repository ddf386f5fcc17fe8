"""The server's log: Triton's own lines and our models' JSON lines, as JSON or as text."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Literal

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.writer import writer_of

__all__ = ["LogFormat", "LogPump", "printable"]

LogFormat = Literal["json", "text"]

_TRITON = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ \d+ (\S+?)\] \"?(.*?)\"?\Z")
_LEVELS = {"I": "info", "W": "warning", "E": "error", "F": "fatal"}
_NOISE = (
    "unable to create stream for",
    "CudaDriverHelper",
    "Failed to initialize NVML",
    "DCGM unable to start",
    "Unable to allocate pinned system memory",
    "failed to allocate pinned system memory",
    "CUDA memory pool",
)
"""What Triton says of GPUs on a machine that has none."""


_LONGEST = 1 << 16
"""Characters of a line; a longer one is cut into several."""
_NO_REASON = "no reason in its log; try --verbose"


class LogPump:
    """Reads the server's combined output line by line (run it in a thread). It never stops to read:
    a server whose output nobody takes would stand still. ``write`` must neither raise nor wait."""

    def __init__(
        self, form: LogFormat, *, verbose: bool, write: Callable[[str], None] | None = None
    ) -> None:
        """``write`` takes one line; None: stderr."""
        self._write_line = write or writer_of(2).write
        self._form = form
        self._verbose = verbose
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
        """Pass on one line, or drop it as noise."""
        if text.startswith("{"):
            self._write_line(_readable(text) if self._form == "text" else text)
            return
        match = _TRITON.match(text)
        level = _LEVELS[match[1]] if match else "info"
        message = match[3] if match else text
        if any(noise in message for noise in _NOISE):
            return
        if match is None and text.strip():
            self._plain.append(text)
        if level in ("error", "fatal"):
            reason = message.split("\\n\\nAt:")[0]  # without the Python stack of a model
            if _is_refusal(reason) or not self._problems:
                self._problems.append(reason)
        if level == "info" and not self._verbose:
            return
        if self._form == "text":
            self._write_line(printable(text))
            return
        fields = log_fields("triton", {"message": message}, level=level, longest=_LONGEST)
        self._write_line(json.dumps(fields))


def _is_refusal(reason: str) -> bool:
    return reason.startswith("failed to load")


def printable(text: str) -> str:
    """Return ``text`` with every character that a terminal would obey, or that is not shown,
    escaped: a client chooses its request id."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _readable(text: str) -> str:
    """Write one of our JSON lines for a terminal."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return printable(text)
    if not isinstance(fields, dict):
        return printable(text)
    return printable(_sentence(fields))


def _sentence(fields: dict[str, Any]) -> str:
    if fields.get("event") != "request":
        rest = " ".join(
            f"{k}={v}" for k, v in fields.items() if k not in ("time", "level", "event")
        )
        return f"{fields.get('event', '')} {rest}".strip()
    name = fields["request_id"] or fields["key"][:8]
    if fields["status"] != "OK":
        return f"request {name} {fields['status']}: {fields['message']}"
    rate = fields["completion_tokens"] / fields["decode_s"] if fields["decode_s"] > 0 else 0.0
    return (
        f"request {name} {fields['finish_reason']} {fields['prompt_tokens']}+"
        f"{fields['completion_tokens']} tokens, first after {fields['ttft_s'] * 1000:.0f} ms, "
        f"{rate:.0f} tokens/s"
    )
