"""The sizes that decide how a checkpoint may be cut, and the cut that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["GEMMA4_26B", "Cut", "Shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the text model. ``kv_heads`` and ``head_dim`` are the sliding layers',
    ``global_*`` the full ones'; widths are inner sizes of one expert and of the dense MLP."""

    hidden: int
    heads: int
    kv_heads: int
    global_kv_heads: int
    head_dim: int
    global_head_dim: int
    experts: int
    expert_width: int
    dense_width: int

    def wide(self, expert: int, dense: int) -> Shape:
        """Return the same model with other widths, as padding makes it."""
        return replace(self, expert_width=expert, dense_width=dense)


GEMMA4_26B = Shape(
    hidden=2816, heads=16, kv_heads=8, global_kv_heads=2, head_dim=256, global_head_dim=512,
    experts=128, expert_width=704, dense_width=2112,
)  # fmt: skip
"""Gemma 4 26B-A4B (its config.json)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """``tp`` GPUs share the model; ``ep`` of them (a divisor of ``tp``) share out whole experts,
    the other ``tp / ep`` cut each expert's width. ``dense_quantized``: the dense MLPs are stored
    in ``precision`` too. With ``attention_dp`` every GPU has the whole attention and dense MLP."""

    precision: str
    dense_quantized: bool
    tp: int = 1
    ep: int = 1
    attention_dp: bool = False

    @property
    def expert_parts(self) -> int:
        """Into how many pieces the width of an expert is cut."""
        return max(1, self.tp // max(1, self.ep))

    @property
    def dense_parts(self) -> int:
        """Into how many pieces attention and dense MLP are cut."""
        return 1 if self.attention_dp else max(1, self.tp)
