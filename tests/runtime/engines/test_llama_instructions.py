"""Which instructions llama.cpp uses, and which the processor has beyond them."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.engines.llama_cpp.instructions import Instructions, read_instructions

WHEEL = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | AVX512 = 0 | REPACK = 1 | "


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"avx2", "fma", "f16c"}, "AVX2, FMA, F16C"),
        (
            {"avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_int8"},
            "AVX2, FMA, F16C; this processor also has AVX512, AVX512_VNNI, AMX_INT8",
        ),
    ],
)
def test_what_is_used_and_what_is_not(flags: set[str], words: str) -> None:
    assert Instructions(WHEEL, frozenset(flags)).words() == words


def test_a_build_that_uses_all_of_an_arm_processor() -> None:
    found = Instructions("CPU : NEON = 1 | DOTPROD = 1 | MATMUL_INT8 = 1 |", frozenset({"asimd"}))
    assert found.words() == "NEON, DOTPROD, MATMUL_INT8"
    assert Instructions("CPU : ", frozenset()).words() == "no special ones"


def test_the_installed_wheel(tmp_path: Path) -> None:
    """llama.cpp cannot use what the processor lacks, or this test would not run."""
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu avx2 amx_int8 sse\n")
    found = read_instructions(tmp_path / "cpuinfo")
    assert found is not None and found.used
    assert ("AMX_INT8" in found.unused) is ("AMX_INT8" not in found.used)
    assert read_instructions(tmp_path / "none") is not None
