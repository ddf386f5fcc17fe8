"""The text model for training: a functional forward pass over the checkpoint's own tensors.

Same arithmetic as ``Gemma4ForConditionalGeneration`` (a test compares them), but sequences of
similar length share a block, so that little padding is computed, and logits are made only where a
loss is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

__all__ = ["PREFIX", "Block", "TextModel"]

PREFIX = "model.language_model."


@dataclass(frozen=True)
class Block:
    """``rows`` sequences of ``length`` tokens each, from position ``start`` of the flat batch."""

    start: int
    rows: int
    length: int


def _rms(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return x if weight is None else x * weight


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [tokens, heads, dim]; cos, sin [tokens, 1, dim / 2]. Halves are rotated (NEOX)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class TextModel:
    """``weights`` maps names below ``model.language_model.`` to float32 tensors; those of experts
    may be lists of matrices."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Any]) -> None:
        self.config = config["text_config"]
        self.weights = weights
        longest = self.config["max_position_embeddings"]
        self._angles = {kind: self._rope(kind, longest) for kind in set(self._kinds)}
        span = torch.arange(longest)
        near = span[:, None] - span[None, :]
        self._window = (near >= 0) & (near < self.config["sliding_window"])

    @property
    def _kinds(self) -> list[str]:
        return list(self.config["layer_types"])

    def _rope(self, kind: str, longest: int) -> tuple[Tensor, Tensor]:
        """cos and sin, each [longest, 1, head_dim / 2]; proportional rope rotates a part only."""
        rope = self.config["rope_parameters"][kind]
        full = kind == "full_attention"
        dim = self.config["global_head_dim" if full else "head_dim"]
        index = torch.arange(dim // 2, dtype=torch.float32)
        frequency = rope["rope_theta"] ** (-2.0 * index / dim)
        frequency[int(rope.get("partial_rotary_factor", 1.0) * dim / 2) :] = 0.0
        angle = torch.arange(longest, dtype=torch.float32)[:, None, None] * frequency
        return angle.cos(), angle.sin()

    def _attention(self, n: int, x: Tensor, positions: Tensor, blocks: list[Block]) -> Tensor:
        """x [tokens, hidden] -> [tokens, hidden]."""
        full = self._kinds[n] == "full_attention"
        heads = self.config["num_attention_heads"]
        dim = self.config["global_head_dim" if full else "head_dim"]
        w, name = self.weights, f"layers.{n}.self_attn."
        query = linear(x, w[name + "q_proj.weight"]).view(len(x), heads, dim)
        key = linear(x, w[name + "k_proj.weight"]).view(len(x), -1, dim)
        value = key if full else linear(x, w[name + "v_proj.weight"]).view(key.shape)
        cos, sin = (table[positions] for table in self._angles[self._kinds[n]])
        query = _rotate(_rms(query, w[name + "q_norm.weight"]), cos, sin)
        key = _rotate(_rms(key, w[name + "k_norm.weight"]), cos, sin)
        parts = (query, key, _rms(value))
        mixed = [self._mix(parts, block, windowed=not full) for block in blocks]
        return linear(torch.cat(mixed), w[name + "o_proj.weight"])

    def _mix(self, parts: tuple[Tensor, ...], block: Block, *, windowed: bool) -> Tensor:
        end = block.start + block.rows * block.length
        heads = parts[0].shape[1]
        q, k, v = (
            p[block.start : end]
            .view(block.rows, block.length, p.shape[1], p.shape[2])
            .repeat_interleave(heads // p.shape[1], dim=2)
            .transpose(1, 2)
            for p in parts
        )
        if windowed and block.length > self.config["sliding_window"]:
            mask = self._window[: block.length, : block.length]
            out = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        else:
            out = scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        return out.transpose(1, 2).reshape(end - block.start, -1)

    def _dense(self, n: int, x: Tensor) -> Tensor:
        w, name = self.weights, f"layers.{n}.mlp."
        gate = gelu(linear(x, w[name + "gate_proj.weight"]), approximate="tanh")
        return linear(gate * linear(x, w[name + "up_proj.weight"]), w[name + "down_proj.weight"])

    def _route(self, n: int, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Expert weights and indices, each [tokens, top_k], and the load-balance loss."""
        w, name = self.weights, f"layers.{n}.router."
        x = _rms(h) * w[name + "scale"] * h.shape[-1] ** -0.5
        shares = linear(x, w[name + "proj.weight"]).softmax(-1)
        top, index = shares.topk(self.config["top_k_experts"])
        count = shares.shape[-1]
        load = torch.bincount(index.flatten(), minlength=count) / index.numel()
        balance = count * (load * shares.mean(0)).sum()
        top = top / top.sum(-1, keepdim=True) * w[name + "per_expert_scale"][index]
        return top, index, balance

    def _experts(self, n: int, x: Tensor, top: Tensor, index: Tensor) -> Tensor:
        up, down = (self.weights[f"layers.{n}.experts.{k}"] for k in ("gate_up_proj", "down_proj"))
        order = index.flatten().argsort(stable=True)
        sizes = torch.bincount(index.flatten(), minlength=len(up)).tolist()
        token = order // index.shape[1]
        parts = []
        for expert, part in enumerate(torch.split(x.index_select(0, token), sizes)):
            gate, value = linear(part, up[expert]).chunk(2, dim=-1)
            parts.append(linear(gelu(gate, approximate="tanh") * value, down[expert]))
        scaled = torch.cat(parts) * top.flatten()[order, None]
        return torch.zeros_like(x).index_add(0, token, scaled)

    def _layer(
        self, n: int, h: Tensor, positions: Tensor, blocks: list[Block]
    ) -> tuple[Tensor, Tensor]:
        def norm(name: str, x: Tensor) -> Tensor:
            return _rms(x, self.weights[f"layers.{n}.{name}.weight"])

        attended = self._attention(n, norm("input_layernorm", h), positions, blocks)
        h = h + norm("post_attention_layernorm", attended)
        dense = self._dense(n, norm("pre_feedforward_layernorm", h))
        top, index, balance = self._route(n, h)
        sparse = self._experts(n, norm("pre_feedforward_layernorm_2", h), top, index)
        both = norm("post_feedforward_layernorm_1", dense) + norm(
            "post_feedforward_layernorm_2", sparse
        )
        h = h + norm("post_feedforward_layernorm", both)
        return h * self.weights[f"layers.{n}.layer_scalar"], balance

    def __call__(
        self, ids: Tensor, positions: Tensor, blocks: list[Block], wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """ids, positions int64 [tokens]; wanted int64 [targets] picks tokens to make logits for.

        Returns logits [targets, vocab] and the mean load-balance loss.
        """
        embedding = self.weights["embed_tokens.weight"]
        h = embedding.index_select(0, ids) * self.config["hidden_size"] ** 0.5
        losses = []
        for n in range(self.config["num_hidden_layers"]):
            h, balance = self._layer(n, h, positions, blocks)
            losses.append(balance)
        logits = linear(_rms(h.index_select(0, wanted), self.weights["norm.weight"]), embedding)
        cap = self.config["final_logit_softcapping"]
        return torch.tanh(logits / cap) * cap, torch.stack(losses).mean()
