"""The one command to start with on a card: what the table calls "yes", and fits."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.trtllm.compatibility import Verdict, verdict
from gemma4_runtime.trtllm.gpus import Gpu
from gemma4_runtime.trtllm.setup import Precision

__all__ = ["NEEDED_GB", "Recommendation", "recommend"]

NEEDED_GB: dict[Precision, float] = {"nvfp4": 23.5, "bf16": 56.5, "fp8": 32.0}
"""10^9 bytes that one GPU needs for Gemma 4 26B-A4B before any KV cache, in the order in which
precisions are tried: the smallest first among equally sure ones."""

_LEAST_CACHE_GB = 4.0
"""For the KV cache: ten requests of 8192 tokens in bf16."""

_BUILD = "gemma4 build /models/gemma-4-26B-A4B-it --out engines/gemma4"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """``command`` builds an engine; ``reason`` says how sure it is, in a sentence."""

    command: str
    reason: str


def recommend(gpu: Gpu) -> Recommendation:
    """Return what to build for one GPU of this kind. A "yes" comes before an "experimental";
    without either it is an engine for CPUs."""
    answers: dict[Precision, Verdict] = {
        precision: verdict(gpu=gpu, precision=precision)
        for precision, needed in NEEDED_GB.items()
        if needed + _LEAST_CACHE_GB <= gpu.memory_gb
    }
    for status in ("yes", "experimental"):
        for precision, answer in answers.items():
            if answer.status == status:
                return Recommendation(
                    f"{_BUILD} --runtime tensorrt_llm --gpu {gpu.name} --precision {precision}",
                    f"{status}: {answer.reason}{_faster(precision, answers)}",
                )
    refused = verdict(gpu=gpu, precision="bf16")
    why = refused.reason if refused.status == "no" else f"{gpu.memory_gb} GB are too few"
    return Recommendation(f"{_BUILD} --precision int4", f"on the CPU, with llama.cpp: {why}")


def _faster(chosen: Precision, answers: dict[Precision, Verdict]) -> str:
    if chosen != "bf16" or "fp8" not in answers or answers["fp8"].status != "experimental":
        return ""
    return "; --precision fp8 should be faster and is experimental"
