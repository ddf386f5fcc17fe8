"""The rules behind the compatibility table, one function each.

A rule returns what it has to say about a :class:`Setup`, or None. Evidence: ``ci`` NVIDIA's own
tests, ``docs`` documentation, ``code`` read in TensorRT-LLM's source, ``thread`` an issue or pull
request of NVIDIA/TensorRT-LLM (``#`` and a number), ``derived`` inferred from these. Nothing here
was run on a GPU by us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gemma4_runtime.trtllm.loader.rules import FOLDER_RULES, SPLIT_RULES, violations
from gemma4_runtime.trtllm.setup import Setup
from gemma4_runtime.trtllm.versions import (
    FIRST,
    FIRST_MTP,
    FIRST_NVFP4,
    FIRST_PYTORCH,
    LAST_READ,
)

__all__ = ["RULES", "Evidence", "Finding", "Status"]

Status = Literal["yes", "experimental", "no"]
Evidence = Literal["ci", "docs", "code", "thread", "derived"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``way_out`` is what to do instead; only a "no" needs one, and may leave it to a search."""

    status: Status
    reason: str
    evidence: Evidence
    way_out: str = ""


Rule = Callable[[Setup], Finding | None]


def _no(reason: str, evidence: Evidence, way_out: str = "") -> Finding:
    return Finding("no", reason, evidence, way_out)


def pipeline_and_context(setup: Setup) -> Finding | None:
    for name, value in (("pipeline", setup.pp), ("context", setup.cp)):
        if value != 1:
            return _no(
                f"{name} parallelism {value}: the Gemma 4 model asserts 1",
                "code",
                "use tensor or expert parallelism, or several replicas",
            )
    return None


def split(setup: Setup) -> Finding | None:
    for found in violations(setup.shape, setup.cut, SPLIT_RULES):
        return _no(found.reason, "code")
    if setup.tp > 8:
        return _no(
            f"tensor parallelism {setup.tp}: 8 sliding KV heads would be duplicated and experts be "
            f"{setup.expert_width // setup.tp} wide; nobody runs that",
            "derived",
        )
    return None


def generation(setup: Setup) -> Finding | None:
    sm = setup.gpu.sm
    if sm in FIRST:
        return None
    if sm == 89:
        return _no(
            f"{setup.gpu.product} (SM89): FlashInfer refuses the architecture and other failures, "
            "issue #14942, open",
            "thread",
        )
    if sm < 89:
        return _no(
            f"{setup.gpu.product} (SM{sm}): no report and no test of Gemma 4 before Hopper",
            "derived",
        )
    return _no(f"{setup.gpu.product} (SM{sm}): no report and no test of Gemma 4", "derived")


def version(setup: Setup) -> Finding | None:
    found = setup.version
    if found < FIRST_PYTORCH:
        return _no(
            f"TensorRT-LLM {found}: Gemma 4 is in its PyTorch backend from {FIRST_PYTORCH} on",
            "thread",
            "use the pinned version",
        )
    needs = [(FIRST[setup.gpu.sm])] if setup.gpu.sm in FIRST else []
    if setup.precision == "nvfp4":
        needs.append((FIRST_NVFP4, "loading of ModelOpt's per-expert tensors (#16108)"))
    if setup.mtp:
        needs.append((FIRST_MTP, "the MTP assistant (#15833, #17837)"))
    for least, why in needs:
        if found < least:
            return _no(
                f"TensorRT-LLM {found}: {setup.gpu.product} in {setup.precision} needs {least}, "
                f"which brought {why}",
                "thread",
                "use the pinned version",
            )
    if found > LAST_READ:
        return Finding(
            "experimental",
            f"TensorRT-LLM {found} is newer than {LAST_READ}, the last that was read",
            "derived",
        )
    return None


def kernels(setup: Setup) -> Finding | None:
    """Say which precision the expert kernels of the generation have for a gated GELU."""
    sm, precision = setup.gpu.sm, setup.precision
    if precision == "bf16":
        if sm == 90:
            return Finding("yes", "BF16 on Hopper: unit tests on H100 (#18002)", "ci")
        if sm in (100, 103):
            return Finding("yes", "BF16 on Blackwell: the CUTLASS expert kernel", "code")
        return Finding("experimental", f"BF16 on SM{sm} since #17557, without tests", "thread")
    if precision == "fp8":
        return Finding(
            "experimental",
            "FP8 per tensor: the CUTLASS expert kernel takes it from SM89 on and the loader knows "
            "ModelOpt's names; no public test with this model",
            "derived",
        )
    if precision == "nvfp4":
        if sm in (100, 103):
            return Finding("yes", "NVFP4 on Blackwell: NVIDIA's accuracy and speed tests", "ci")
        if sm in (120, 121):
            return Finding("experimental", f"NVFP4 on SM{sm} since #17557, without tests", "thread")
        return _no(
            f"NVFP4 on SM{sm}: only the MARLIN kernel (4-bit weights, BF16 arithmetic), which "
            "computes GELU by erf where Gemma 4 has tanh",
            "code",
        )
    if sm == 90:
        return Finding(
            "experimental",
            "INT4 (W4A8 AWQ): kernel for SM89 and SM90; needs the padded checkpoint and was run "
            "by nobody",
            "derived",
        )
    return _no(f"INT4 (W4A8 AWQ) on SM{sm}: the expert kernel exists for SM89 and SM90", "code")


def loads(setup: Setup) -> Finding | None:
    """Say what the loader's rules say of the sizes."""
    for found in violations(setup.shape, setup.cut, FOLDER_RULES):
        return _no(found.reason, "code")
    return None


def several_gpus(setup: Setup) -> Finding | None:
    if setup.tp == 1:
        return None
    return Finding(
        "experimental",
        "several GPUs: shapes divide, but no public test of this model on more than one; "
        "independent replicas are the safe way to use them",
        "derived",
    )


def attention_dp(setup: Setup) -> Finding | None:
    if not setup.attention_dp:
        return None
    if setup.tp == 1:
        return _no("attention data parallelism needs more than one GPU", "code", "leave it out")
    return Finding("experimental", "attention data parallelism: support matrix Untested", "docs")


def mtp(setup: Setup) -> Finding | None:
    if not setup.mtp or setup.gpu.sm in (100, 103):
        return None
    return Finding(
        "experimental", "MTP assistant: tested by NVIDIA on B200 only, with NVFP4", "thread"
    )


RULES: tuple[Rule, ...] = (
    pipeline_and_context,
    split,
    generation,
    version,
    kernels,
    loads,
    several_gpus,
    attention_dp,
    mtp,
)
