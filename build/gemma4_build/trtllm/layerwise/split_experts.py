"""Fused experts as ordinary linear layers, in the model that ModelOpt quantizes. Needs torch.

ModelOpt 0.47 cannot export AWQ of fused experts ("object of type 'QuantGemma4TextExperts' has no
len()") and would not scale their inputs. As linear layers each expert gets its own scales, under
the names that TensorRT-LLM's loader wants (pre_quant_scale, weight_scale, weight_scale_2,
input_scale).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

__all__ = ["split_experts", "without_block_sync"]


class _Expert(nn.Module):
    def __init__(
        self,
        gate_up: torch.Tensor,
        down: torch.Tensor,
        act_fn: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__()
        gate, up = gate_up.chunk(2, dim=0)
        self.gate_proj, self.up_proj, self.down_proj = _linear(gate), _linear(up), _linear(down)
        self.act_fn = act_fn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return result


class _SplitExperts(nn.ModuleList):
    """Takes what the fused experts take."""

    def forward(
        self, hidden: torch.Tensor, chosen: torch.Tensor, shares: torch.Tensor
    ) -> torch.Tensor:
        out = torch.zeros_like(hidden)
        for number, expert in enumerate(self):
            rows, places = torch.where(chosen == number)
            if len(rows):
                mixed = expert(hidden[rows]) * shares[rows, places, None]
                out.index_add_(0, rows, mixed.to(out.dtype))
        return out


def split_experts(model: Any) -> None:
    """Replace the fused experts of every layer in place. A layer at a time is held twice."""
    for layer in model.model.language_model.layers:
        fused = layer.experts
        layer.experts = _SplitExperts(
            [
                _Expert(fused.gate_up_proj[n].detach(), fused.down_proj[n].detach(), fused.act_fn)
                for n in range(fused.num_experts)
            ]
        )


def without_block_sync() -> None:
    """Keep ModelOpt's export from evening out the block ranges of an expert's gate and up: it sets
    them on both quantizers of int4's pair, of which the second has one range, and fails ("Changing
    shape when setting amax is not allowed"). TensorRT-LLM needs one scaling of the inputs and evens
    out ``weight_scale_2`` when it loads; both hold without it, the proof looks."""
    from modelopt.torch.export import unified_export_hf

    unified_export_hf.sync_moe_gate_up_amax = lambda model: 0


def _linear(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight.clone(), requires_grad=False)
    return layer
