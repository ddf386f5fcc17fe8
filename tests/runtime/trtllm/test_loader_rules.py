"""The loader's rules are right about numbers: what it would compute, redone in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gemma4_runtime.trtllm.loader import sources
from gemma4_runtime.trtllm.loader.scales import EQUAL_SCALES, fused_groups
from gemma4_runtime.trtllm.loader.shape import GEMMA4_26B, Cut
from gemma4_runtime.trtllm.loader.tensors import TensorInfo, tensor_problems
from gemma4_runtime.trtllm.loader.widths import (
    DENSE_STEP,
    EXPERT_STEP,
    INNER_STEP,
    NVFP4_FC1_ROWS,
)

HIDDEN = 256


def cosine_of_fc1(width: int) -> float:
    """Cosine between the output of a gated MLP and what NVFP4's kernel makes of it: rows of up and
    gate, padded together to 128 at their end, and split at half of the padded rows."""
    random = np.random.default_rng(7)
    x = random.standard_normal((64, HIDDEN))
    up, gate = random.standard_normal((2, width, HIDDEN)) / HIDDEN**0.5
    down = random.standard_normal((HIDDEN, width))
    rows = -(-2 * width // NVFP4_FC1_ROWS) * NVFP4_FC1_ROWS
    fused = np.zeros((rows, HIDDEN))
    fused[: 2 * width] = np.concatenate([up, gate])
    half = rows // 2
    wide = np.zeros((HIDDEN, half))
    wide[:, :width] = down
    right = gated(x @ gate.T, x @ up.T) @ down.T
    loaded = gated(x @ fused[half:].T, x @ fused[:half].T) @ wide.T
    norm = np.linalg.norm(right) * np.linalg.norm(loaded)
    return float((right * loaded).sum() / norm)


def gated(gate: Any, up: Any) -> Any:
    inner = (2 / np.pi) ** 0.5 * (gate + 0.044715 * gate**3)
    return 0.5 * gate * (1 + np.tanh(inner)) * up


@pytest.mark.parametrize("width", [704, 384, 352, 192, 176, 128, 96, 88, 64])
def test_the_step_is_where_gate_and_up_stay_apart(width: int) -> None:
    """Measured: 1.000 at 704, 384 and 192; 0.19 at 352, 0.15 at 176 (with other random numbers
    0.178 and 0.123)."""
    if width % EXPERT_STEP["nvfp4"].size == 0:
        assert cosine_of_fc1(width) > 0.9999
    else:
        assert cosine_of_fc1(width) < 0.3


def test_packed_heads_are_copied_wrongly() -> None:
    """Rows of W4A8 stand for two each."""
    name = "model.language_model.layers.5.self_attn.k_proj.weight"
    for packed, tp, wrong in ((1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 2, 1), (2, 4, 1)):
        shape: TensorInfo = ("U8", (1024 // packed, 2816))
        cut = Cut(precision="int4", dense_quantized=True, tp=tp, ep=tp)
        found = list(tensor_problems({name: shape}, GEMMA4_26B, cut, frozenset({5})))
        assert len(found) == wrong, (packed, tp, found)
    assert "gets 512 rows of it and needs 256" in found[0]


@pytest.mark.parametrize(
    ("precision", "legal"),
    [
        # What each kernel's own check says of the down projection, whose inputs the width is, and
        # of gate and up, whose outputs are twice the width.
        ("bf16", lambda width: width * 2 % 16 == 0),
        ("fp8", lambda width: width % 16 == 0 and 2 * width % 16 == 0),
        ("nvfp4", lambda width: width % 32 == 0 and 2 * width % 32 == 0),
        ("int4", lambda width: width % 128 == 0),
    ],
)
def test_the_dense_step_is_the_least_that_the_kernels_take(
    precision: str, legal: Callable[[int], bool]
) -> None:
    for width in range(2, 2200, 2):
        assert legal(width) == (width % DENSE_STEP[precision].size == 0), width


def test_layers_that_are_fused() -> None:
    names = {"a.q_proj", "a.k_proj", "b.q_proj", "b.k_proj", "b.v_proj", "e.0.gate_proj"}
    assert list(fused_groups(names)) == [
        ("a.q_proj", "a.k_proj"),
        ("b.q_proj", "b.k_proj", "b.v_proj"),
    ]


def test_every_rule_has_a_source() -> None:
    for table in (EXPERT_STEP, DENSE_STEP, INNER_STEP):
        for step in table.values():
            assert step.source.where.split(" ")[0].endswith((".py", ".cpp", ".cu", ".cuh"))
            assert step.source.what and step.source.versions
    for _, source in EQUAL_SCALES.values():
        assert source.what and source.versions
    assert "quantization.py" in str(sources.GATED_FC1) and "18520" in str(sources.GATED_FC1)
