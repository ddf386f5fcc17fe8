"""Lines that Triton and TensorRT-LLM write in forms of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NativeLine", "has_gpu", "is_noise", "native_line", "parted"]

_TRITON = re.compile(
    r"(?P<level>[IWEF])\d{4} (?P<clock>\d\d:\d\d:\d\d)\.\d+ \d+ (?P<place>\S+?)\] ?(?P<text>.*)"
)
_TRTLLM = re.compile(
    r"\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] (?P<place>\[TRT-LLM\](?: \[RANK \d+\])?) "
    r"\[(?P<level>[VDIWEF])\] ?(?P<text>.*)"
)
"""As its Python logger writes; the time is not UTC."""
_TRTLLM_CPP = re.compile(
    r"(?P<place>\[TensorRT-LLM\])\[(?P<level>TRACE|DEBUG|INFO|WARNING|ERROR)\] ?(?P<text>.*)"
)
_JOINED = re.compile(r'([IWEF]\d{4} [^"]*\] "(?:[^"\\]|\\.)*")(\{"time": .*\})')
"""A message of Triton in quotation marks, those in it escaped, and a JSON line of our models. No
client's text in a message looks so."""
_LEVELS = {"W": "warning", "E": "error", "F": "fatal"}
"""By the first letter; all others are info."""
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


@dataclass(frozen=True, slots=True)
class NativeLine:
    """``source``: ``triton`` or ``trtllm``. ``clock``: hours, minutes and seconds (UTC) where
    Triton has them, else empty. ``text``: the message, without the quotation marks around it."""

    source: str
    level: str
    clock: str
    place: str
    text: str


def native_line(line: str) -> NativeLine | None:
    """Read a line; None for one of no known form."""
    for source, form in (("triton", _TRITON), ("trtllm", _TRTLLM), ("trtllm", _TRTLLM_CPP)):
        if found := form.fullmatch(line):
            parts = found.groupdict()
            text = parts["text"]
            quoted = len(text) > 1 and text[0] == text[-1] == '"'
            return NativeLine(
                source=source,
                level=_LEVELS.get(parts["level"][0], "info"),
                clock=parts.get("clock") or "",
                place=parts["place"],
                text=text[1:-1] if quoted else text,
            )
    return None


def parted(line: str) -> list[str]:
    """Return a line, or the message of Triton and the line of our models that it consists of.

    Triton writes a message and its newline one after the other (``write`` is called twice in 2.51,
    by strace), so another process may write between them. The newline follows as an empty line."""
    joined = _JOINED.fullmatch(line)
    return list(joined.groups()) if joined else [line]


def is_noise(text: str) -> bool:
    """Return whether this is what Triton says where there is no GPU."""
    return any(noise in text for noise in _NOISE)


def has_gpu() -> bool:
    """Return whether NVIDIA's driver is loaded here: then that is no noise."""
    return Path("/dev/nvidiactl").exists()
