"""Every "no" of the table has its test, and a way out that works."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from gemma4_runtime.trtllm.compatibility import SPLITS, judge, verdict
from gemma4_runtime.trtllm.gpus import GPUS, UnknownGpuError, find_gpu, gpu_of_device
from gemma4_runtime.trtllm.rules import RULES
from gemma4_runtime.trtllm.setup import PRECISIONS, Setup
from gemma4_runtime.trtllm.versions import PINNED, BadVersionError, parse_version


@pytest.mark.parametrize(
    ("gpu", "precision", "extra"),
    [
        ("h100", "bf16", {}),
        ("h200", "bf16", {}),
        ("b200", "bf16", {}),
        ("b200", "nvfp4", {}),
        ("b300", "nvfp4", {}),
        ("gb200", "nvfp4", {"mtp": True}),
    ],
)
def test_yes(gpu: str, precision: Any, extra: dict[str, Any]) -> None:
    found = verdict(gpu=gpu, precision=precision, **extra)
    assert found.status == "yes" and found.reason and not found.way_out


@pytest.mark.parametrize(
    ("gpu", "precision", "extra", "says"),
    [
        ("h100", "fp8", {}, "no public test"),
        ("b200", "fp8", {}, "no public test"),
        ("h100", "bf16", {"tp": 2}, "on more than one"),
        ("h100", "fp8", {"tp": 4, "ep": 4}, "on more than one"),
        ("b200", "nvfp4", {"tp": 2, "ep": 2}, "on more than one"),
        ("b200", "nvfp4", {"tp": 2, "pad": True}, "on more than one"),
        ("b200", "nvfp4", {"tp": 8, "ep": 8}, "on more than one"),
        ("h100", "fp8", {"tp": 8, "ep": 8, "attention_dp": True}, "Untested"),
        ("h100", "int4", {}, "run by nobody"),
        ("h100", "bf16", {"mtp": True}, "B200 only"),
        ("rtx-pro-6000", "nvfp4", {}, "without tests"),
        ("dgx-spark", "bf16", {}, "without tests"),
        ("b200", "bf16", {"version": "1.5.0"}, "newer than"),
        ("h100", "fp8", {"tp": 4, "expert_width": 768}, "on more than one"),
        ("h100", "fp8", {"tp": 4, "pad": True}, "on more than one"),
        ("h100", "fp8", {"tp": 8, "ep": 8, "pad": True}, "on more than one"),
    ],
)
def test_experimental(gpu: str, precision: Any, extra: dict[str, Any], says: str) -> None:
    found = verdict(gpu=gpu, precision=precision, **extra)
    assert found.status == "experimental" and says in found.reason and not found.way_out


@pytest.mark.parametrize(
    ("gpu", "precision", "extra", "says", "way_out"),
    [
        ("h100", "nvfp4", {}, "GELU by erf", "--precision fp8"),
        ("h200", "nvfp4", {}, "MARLIN", "--precision fp8"),
        ("h100", "fp8", {"tp": 4}, "176 wide", "--ep 4"),
        ("h100", "fp8", {"tp": 8}, "88 wide", "--tp 4 --ep 4"),
        ("h100", "fp8", {"tp": 8, "ep": 8}, "dense MLP 264", "--tp 4 --ep 4"),
        ("h100", "fp8", {"tp": 3}, "16 attention heads", "--tp 2"),
        ("h100", "bf16", {"tp": 5}, "16 attention heads", "--tp 4"),
        ("h100", "bf16", {"tp": 0}, "16 attention heads", "--tp 1"),
        ("h100", "bf16", {"tp": 16}, "8 sliding KV heads", "--tp 8"),
        ("h100", "bf16", {"tp": 4, "ep": 3}, "must divide", "--ep 4"),
        ("h100", "bf16", {"ep": 2}, "must divide", "--ep 1"),
        ("b200", "nvfp4", {"tp": 2}, "352 wide", "--ep 2"),
        ("b200", "nvfp4", {"tp": 4}, "176 wide", "--ep 4"),
        ("b200", "nvfp4", {"tp": 4, "ep": 2}, "352 wide", "--ep 4"),
        ("b200", "nvfp4", {"tp": 8}, "88 wide", "--ep 8"),
        ("h100", "int4", {"tp": 2}, "2 packed key/value heads for 1", "--tp 1"),
        ("h100", "int4", {"tp": 4, "ep": 4}, "packed key/value heads", "--tp 1"),
        ("b200", "nvfp4", {"tp": 8, "ep": 8, "nvfp4_scope": "mlp"}, "dense MLP 264", "--tp 2"),
        ("b200", "nvfp4", {"tp": 4, "ep": 4, "nvfp4_scope": "mlp"}, "dense MLP 528", "--tp 2"),
        ("b200", "int4", {}, "SM100", "--precision nvfp4"),
        ("rtx-5090", "int4", {}, "SM120", "--precision nvfp4"),
        ("l4", "fp8", {}, "#14942", "H100"),
        ("l40s", "bf16", {}, "#14942", "H100"),
        ("a100", "bf16", {}, "before Hopper", "H100"),
        ("h100", "bf16", {"pp": 2}, "pipeline parallelism 2", "tensor or expert"),
        ("h100", "bf16", {"cp": 2}, "context parallelism 2", "tensor or expert"),
        ("h100", "bf16", {"attention_dp": True}, "more than one GPU", "leave it out"),
        ("h100", "bf16", {"version": "1.2.1"}, "from 1.3.0rc15", "pinned"),
        ("h100", "bf16", {"version": "1.3.0rc25"}, "#18002", "pinned"),
        ("b200", "bf16", {"version": "1.3.0rc20"}, "1.3.0rc22", "pinned"),
        ("rtx-5090", "bf16", {"version": "1.3.0rc24"}, "#17557", "pinned"),
        ("b200", "nvfp4", {"version": "1.3.0rc24", "mtp": True}, "MTP", "pinned"),
    ],
)
def test_no(gpu: str, precision: Any, extra: dict[str, Any], says: str, way_out: str) -> None:
    found = verdict(gpu=gpu, precision=precision, **extra)
    assert found.status == "no"
    assert says in found.reason
    assert way_out in found.way_out


@pytest.mark.parametrize(
    ("widths", "says"),
    [
        ({}, "int4 experts 704 wide"),
        ({"expert_width": 768}, "int4 dense MLP 2112 wide"),
    ],
)
def test_int4_needs_padding(widths: dict[str, Any], says: str) -> None:
    setup = Setup(gpu=find_gpu("h100"), precision="int4", version=parse_version(PINNED), **widths)
    found = judge(setup)
    assert found.status == "no" and says in found.reason
    padded = setup.padded()
    assert judge(padded).status == "experimental" and padded.padded() == padded


def test_unknown_generation() -> None:
    gpu = gpu_of_device("NVIDIA X", 130, 200 * 10**9)
    assert verdict(gpu=gpu, precision="bf16").status == "no"


def test_every_proposed_way_out_works() -> None:
    """Typing what a "no" proposes gives no "no"."""
    tried = 0
    for gpu, precision, (tp, ep) in itertools.product(GPUS, PRECISIONS, [*SPLITS, (3, 1), (4, 3)]):
        found = verdict(gpu=gpu, precision=precision, tp=tp, ep=ep)
        options = dict(re.findall(r"--(tp|ep|precision) (\w+)", found.way_out))
        if not options:
            continue
        now: dict[str, Any] = {"precision": precision, "tp": tp, "ep": 1 if "tp" in options else ep}
        now |= {k: v if k == "precision" else int(v) for k, v in options.items()}
        assert verdict(gpu=gpu, **now).status != "no", (gpu, precision, tp, ep, found.way_out)
        tried += 1
    assert tried > 100


def test_every_rule_decides_somewhere() -> None:
    """A rule that never speaks would be dead."""
    setups = itertools.product(
        GPUS, PRECISIONS, [*SPLITS, (3, 1)], ({"pad": True}, {}), (False, True)
    )
    reasons = {
        f.reason
        for gpu, precision, (tp, ep), width, flag in setups
        for extra in ({"mtp": flag}, {"attention_dp": flag}, {"version": "1.2.1"}, {"pp": 2})
        for f in verdict(gpu=gpu, precision=precision, tp=tp, ep=ep, **width, **extra).findings  # type: ignore[arg-type]
    }
    for words in (
        "pipeline", "attention heads", "SM89", "TensorRT-LLM 1.2.1", "CUTLASS", "experts",
        "dense MLP", "several GPUs", "attention data", "MTP assistant",
    ):  # fmt: skip
        assert any(words in reason for reason in reasons), words
    assert len(RULES) == 9


def test_names() -> None:
    assert find_gpu(" H100 ").sm == 90
    with pytest.raises(UnknownGpuError, match="h999: known are a100"):
        find_gpu("h999")
    with pytest.raises(BadVersionError, match=rf"'latest'.*{PINNED}"):
        verdict(gpu="h100", precision="bf16", version="latest")
    assert gpu_of_device("NVIDIA H200", 90, 150 * 10**9).name == "h200"
    assert gpu_of_device("NVIDIA H100 80GB HBM3", 90, 85 * 10**9).name == "h100"
