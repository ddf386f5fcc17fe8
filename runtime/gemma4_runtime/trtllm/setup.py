"""What somebody wants to run: GPU, precision, split, version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from packaging.version import Version

from gemma4_runtime.trtllm.gpus import Gpu
from gemma4_runtime.trtllm.loader.shape import GEMMA4_26B, Cut, Shape
from gemma4_runtime.trtllm.loader.widths import padded_widths

__all__ = ["PRECISIONS", "Precision", "Setup"]

Precision = Literal["bf16", "fp8", "nvfp4", "int4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """``tp`` GPUs share the model; ``ep`` of them (a divisor of ``tp``) share out whole experts and
    the other ``tp / ep`` cut each expert's width. Widths are above the checkpoint's where it was
    padded. ``nvfp4_scope``: quantized are the experts only, or the dense MLPs too."""

    gpu: Gpu
    precision: Precision
    version: Version
    tp: int = 1
    ep: int = 1
    pp: int = 1
    cp: int = 1
    attention_dp: bool = False
    mtp: bool = False
    nvfp4_scope: Literal["experts", "mlp"] = "experts"
    expert_width: int = GEMMA4_26B.expert_width
    dense_width: int = GEMMA4_26B.dense_width

    @property
    def dense_quantized(self) -> bool:
        return self.precision in ("fp8", "int4") or (
            self.precision == "nvfp4" and self.nvfp4_scope == "mlp"
        )

    @property
    def shape(self) -> Shape:
        return GEMMA4_26B.wide(self.expert_width, self.dense_width)

    @property
    def cut(self) -> Cut:
        return Cut(
            precision=self.precision,
            dense_quantized=self.dense_quantized,
            tp=self.tp,
            ep=self.ep,
            attention_dp=self.attention_dp,
        )

    def padded(self) -> Setup:
        """Return the same with MLPs padded until this split and precision take them."""
        expert, dense = padded_widths(self.shape, self.cut)
        return replace(self, expert_width=expert, dense_width=dense)
