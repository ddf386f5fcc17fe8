"""One command for every card."""

from __future__ import annotations

import pytest
from gemma4_runtime.trtllm.gpus import GPUS, find_gpu, gpu_of_device
from gemma4_runtime.trtllm.recommended import recommend


@pytest.mark.parametrize(
    ("gpu", "command", "reason"),
    [
        ("h100", "--gpu h100 --precision bf16", "fp8 should be faster and is experimental"),
        ("h200", "--gpu h200 --precision bf16", "yes: BF16 on Hopper"),
        ("b200", "--gpu b200 --precision nvfp4", "yes: NVFP4 on Blackwell"),
        ("b300", "--gpu b300 --precision nvfp4", "yes"),
        ("rtx-pro-6000", "--precision nvfp4", "experimental: NVFP4"),
        ("rtx-5090", "--precision nvfp4", "experimental: NVFP4"),
        ("l40s", "engines/gemma4 --precision int4", "on the CPU, with llama.cpp: L40S"),
        ("l4", "engines/gemma4 --precision int4", "on the CPU"),
    ],
)
def test_command(gpu: str, command: str, reason: str) -> None:
    found = recommend(find_gpu(gpu))
    assert found.command.endswith(command) and reason in found.reason


def test_unknown_card() -> None:
    found = recommend(gpu_of_device("NVIDIA X", 130, 200 * 10**9))
    assert "tensorrt_llm" not in found.command and "no report" in found.reason


def test_a_small_card_of_a_known_generation() -> None:
    found = recommend(gpu_of_device("NVIDIA H100 slice", 90, 20 * 10**9))
    assert "20 GB are too few" in found.reason


def test_every_card_gets_one() -> None:
    assert all(recommend(gpu).command.startswith("gemma4 build ") for gpu in GPUS.values())
