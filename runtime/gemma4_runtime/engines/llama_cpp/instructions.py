"""Which instructions of the processor llama.cpp was compiled for, and which others it has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["Instructions", "read_instructions"]

_KNOWN = {
    "AVX2": "avx2", "FMA": "fma", "F16C": "f16c", "AVX_VNNI": "avx_vnni", "AVX512": "avx512f",
    "AVX512_VBMI": "avx512vbmi", "AVX512_VNNI": "avx512_vnni", "AVX512_BF16": "avx512_bf16",
    "AMX_INT8": "amx_int8", "NEON": "asimd", "DOTPROD": "asimddp", "MATMUL_INT8": "i8mm",
    "SVE": "sve",
}  # fmt: skip
"""ggml's name of a set that its kernels use, and Linux's name of it in /proc/cpuinfo."""

_ASK = "import xllamacpp; print(xllamacpp.get_system_info())"
_ASK_S = 20.0
"""Seconds that it may take to load, also on a busy machine."""


class Instructions:
    """``used`` are sets that llama.cpp was compiled for; ``unused`` are sets that this processor
    has beyond them, in ggml's names."""

    def __init__(self, system_info: str, flags: frozenset[str]) -> None:
        compiled = dict(re.findall(r"(\w+) = (\d+)", system_info))
        self.used = tuple(name for name in _KNOWN if compiled.get(name, "0") != "0")
        self.unused = tuple(
            name for name, flag in _KNOWN.items() if name not in self.used and flag in flags
        )

    def words(self) -> str:
        """Return both in words."""
        used = ", ".join(self.used) or "no special ones"
        return used + (f"; this processor also has {', '.join(self.unused)}" if self.unused else "")


def read_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> Instructions | None:
    """Ask the installed llama.cpp, in a process of its own, which one compiled for another
    processor ends by a signal; None where it does not answer."""
    try:
        told = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=_ASK_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return Instructions(told.stdout, _flags(cpuinfo))


def _flags(cpuinfo: Path) -> frozenset[str]:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()
