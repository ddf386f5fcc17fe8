"""Lines that Triton and TensorRT-LLM write in forms of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NativeLine", "has_gpu", "is_noise", "native_line"]

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


def is_noise(text: str) -> bool:
    """Return whether this is what Triton says where there is no GPU."""
    return any(noise in text for noise in _NOISE)


def has_gpu() -> bool:
    """Return whether NVIDIA's driver is loaded here: then that is no noise."""
    return Path("/dev/nvidiactl").exists()
