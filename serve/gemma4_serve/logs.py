"""The server's log: Triton's own lines and our models' JSON lines, as JSON or as text."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import deque
from typing import IO, Literal

__all__ = ["LogFormat", "LogPump"]

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


class LogPump:
    """Reads the server's combined output line by line (run it in a thread)."""

    def __init__(self, form: LogFormat, *, verbose: bool, out: IO[str] | None = None) -> None:
        """``out`` None: stderr."""
        self._out = out
        self._form = form
        self._verbose = verbose
        self.tail: deque[str] = deque(maxlen=30)
        """The last problems, for an error message when the start fails."""

    def run(self, stream: IO[str]) -> None:
        for line in stream:
            self.line(line.rstrip("\n"))

    def line(self, text: str) -> None:
        """Pass on one line, or drop it as noise."""
        if text.startswith("{"):
            self._write(text, None)
            return
        match = _TRITON.match(text)
        level = _LEVELS[match[1]] if match else "info"
        message = match[3] if match else text
        if any(noise in message for noise in _NOISE):
            return
        if level in ("error", "fatal"):
            reason = message.split("\\n\\nAt:")[0]  # without the Python stack of a model
            if reason.startswith("failed to load") or not self.tail:
                self.tail.append(reason)
        if level == "info" and not self._verbose:
            return
        self._write(text, {"level": level, "event": "triton", "message": message})

    def _write(self, text: str, fields: dict[str, str] | None) -> None:
        out = self._out or sys.stderr
        if self._form == "text":
            out.write(f"{_readable(text) if fields is None else text}\n")
        elif fields is None:
            out.write(text + "\n")
        else:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            out.write(json.dumps({"time": stamp, **fields}) + "\n")
        out.flush()


def _readable(text: str) -> str:
    """One of our JSON lines for a terminal."""
    try:
        fields = json.loads(text)
    except ValueError:
        return text
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
