"""The compatibility table for the GPUs of this machine, or for a named one."""

from __future__ import annotations

from gemma4_runtime.trtllm.compatibility import verdict
from gemma4_runtime.trtllm.gpus import Gpu
from gemma4_runtime.trtllm.recommended import recommend
from gemma4_runtime.trtllm.setup import PRECISIONS

from gemma4_serve.doctor.report import Level, Result

__all__ = ["compatibility", "recommendation"]

_SPLITS = ((1, 1), (2, 1), (4, 4), (8, 8))
_LEVEL: dict[str, Level] = {"yes": "ok", "experimental": "warn", "no": "info"}


def compatibility(gpu: Gpu, count: int) -> list[Result]:
    """Return what up to ``count`` GPUs of this kind can run, a line for each precision and split;
    splits of a precision with the same answer share one."""
    results = []
    for precision in PRECISIONS:
        answers: dict[tuple[Level, str], list[str]] = {}
        for tp, ep in _SPLITS:
            if tp > count:
                continue
            found = verdict(
                gpu=gpu,
                precision=precision,
                tp=tp,
                ep=ep,
            )
            key = (_LEVEL[found.status], f"{found.status}: {found.explain()}")
            answers.setdefault(key, []).append(f"tp {tp}" + (f" ep {ep}" if ep > 1 else ""))
        results += [
            Result(f"{precision}, {', '.join(splits)}", level, text)
            for (level, text), splits in answers.items()
        ]
    return results


def recommendation(gpu: Gpu) -> Result:
    """Return the one command to start with on this kind of GPU."""
    found = recommend(gpu)
    return Result("build", "info", found.reason, command=found.command)
