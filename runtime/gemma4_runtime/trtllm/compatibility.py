"""The compatibility table: GPU x precision x split x version -> yes, experimental or no, and why.

One source for ``gemma4 build``, ``gemma4 doctor`` and docs/precision.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from gemma4_runtime.trtllm.gpus import Gpu, find_gpu
from gemma4_runtime.trtllm.loader.shape import GEMMA4_26B
from gemma4_runtime.trtllm.rules import RULES, Finding, Status
from gemma4_runtime.trtllm.setup import Precision, Setup
from gemma4_runtime.trtllm.versions import PINNED, parse_version

__all__ = ["SPLITS", "Verdict", "judge", "verdict"]

SPLITS = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (8, 1), (8, 2), (8, 4), (8, 8))
"""Every (tensor, expert) parallelism that the model's 16 heads and 128 experts allow up to 8."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``findings`` that decided come first. ``way_out`` is "" unless ``status`` is "no"."""

    status: Status
    findings: tuple[Finding, ...]
    way_out: str = ""

    @property
    def reason(self) -> str:
        """The findings that decided, as one sentence."""
        return "; ".join(f.reason for f in self.findings if f.status == self.status)

    def explain(self) -> str:
        """Return the reason and way out, for an error message."""
        return f"{self.reason}; {self.way_out}" if self.way_out else self.reason


def verdict(
    *,
    gpu: str | Gpu,
    precision: Precision,
    tp: int = 1,
    ep: int = 1,
    pp: int = 1,
    cp: int = 1,
    version: str = PINNED,
    attention_dp: bool = False,
    mtp: bool = False,
    nvfp4_scope: Literal["experts", "mlp"] = "experts",
    expert_width: int = GEMMA4_26B.expert_width,
    dense_width: int = GEMMA4_26B.dense_width,
    pad: bool = False,
) -> Verdict:
    """Do as :func:`judge` from plain values; with ``pad``, and always for int4, of the padded
    model, as ``gemma4 build`` makes it. Raises :class:`~gemma4_runtime.trtllm.gpus.UnknownGpuError`
    and :class:`~gemma4_runtime.trtllm.versions.BadVersionError`."""
    setup = Setup(
        gpu=find_gpu(gpu) if isinstance(gpu, str) else gpu,
        precision=precision,
        version=parse_version(version),
        tp=tp,
        ep=ep,
        pp=pp,
        cp=cp,
        attention_dp=attention_dp,
        mtp=mtp,
        nvfp4_scope=nvfp4_scope,
        expert_width=expert_width,
        dense_width=dense_width,
    )
    return judge(setup.padded() if pad or precision == "int4" else setup)


def judge(setup: Setup) -> Verdict:
    """Ask every rule; the worst answer counts. A "no" comes with a way out that works."""
    findings = _findings(setup)
    status = _worst(findings)
    if status != "no":
        return Verdict(status, findings)
    own = next((f.way_out for f in findings if f.status == "no" and f.way_out), "")
    return Verdict(status, findings, own or _search(setup))


def _findings(setup: Setup) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for rule in RULES:
        finding = rule(setup)
        if finding is not None:
            found.append(finding)
            if finding.status == "no":
                break  # later rules may rest on what this one refused
    order = ("no", "experimental", "yes")
    return tuple(sorted(found, key=lambda f: order.index(f.status)))


def _worst(findings: tuple[Finding, ...]) -> Status:
    return findings[0].status if findings else "experimental"


def _works(setup: Setup) -> bool:
    return _worst(_findings(setup)) != "no"


def _search(setup: Setup) -> str:
    """Return the smallest change of ``setup`` that is not refused, in words."""
    for other, words in _neighbors(setup):
        if _works(other):
            return f"use {words}"
    return "use an H100, H200, B200 or newer"


_ALTERNATIVES: tuple[Precision, ...] = ("nvfp4", "fp8", "bf16")
"""In order of memory saved; int4 is never proposed."""


def _neighbors(setup: Setup) -> Iterator[tuple[Setup, str]]:
    """Give other splits of at most as many GPUs, then other precisions, then both; each built anew
    from the published checkpoint."""
    asked = replace(setup, expert_width=GEMMA4_26B.expert_width, dense_width=GEMMA4_26B.dense_width)
    fitting = [split for split in SPLITS if split[0] <= max(1, setup.tp)]
    for tp, ep in sorted(fitting, key=lambda split: (-split[0], -split[1])):
        words = f"--ep {ep}" if tp == setup.tp else f"--tp {tp}" + (f" --ep {ep}" if ep > 1 else "")
        other = replace(asked, tp=tp, ep=ep)
        yield other.padded() if setup.precision == "int4" else other, words
    for precision in _ALTERNATIVES:
        yield replace(asked, precision=precision), f"--precision {precision}"
    for precision in _ALTERNATIVES:
        other = replace(asked, precision=precision, tp=1, ep=1)
        yield other, f"--precision {precision} --tp 1"
