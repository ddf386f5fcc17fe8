"""One decoder layer, with its weights read from the checkpoint when they are used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from gemma4_build.reference.ops import (
    Array,
    attention,
    gelu_tanh,
    inverse_frequencies,
    rms_norm,
    rope,
    softmax,
)
from gemma4_build.reference.weights import EXACT, Rounding, Weights
from gemma4_build.tensor_table import PREFIX

__all__ = ["Layer"]


class Layer:
    """Layer ``index``. Call it with the hidden states of all prompts, [all tokens, hidden].

    ``rounding`` is applied to the inputs of the linear layers and to keys and values."""

    def __init__(self, checkpoint: Weights, index: int, rounding: Rounding = EXACT) -> None:
        self._checkpoint = checkpoint
        self._rounding = rounding
        self._spec = checkpoint.spec
        self._index = index

    def __call__(self, hidden: Array, starts: Sequence[int]) -> Array:
        """Apply the layer. ``starts`` are the prompts' first rows, and the number of rows at the
        end."""
        norm = self._norm
        attended = self._attention(norm(hidden, "input_layernorm.weight"), starts)
        hidden = hidden + norm(attended, "post_attention_layernorm.weight")
        dense = self._dense(norm(hidden, "pre_feedforward_layernorm.weight"))
        dense = norm(dense, "post_feedforward_layernorm_1.weight")
        mixed = self._experts(norm(hidden, "pre_feedforward_layernorm_2.weight"), hidden)
        mixed = norm(mixed, "post_feedforward_layernorm_2.weight")
        hidden = hidden + norm(dense + mixed, "post_feedforward_layernorm.weight")
        return hidden * self._weight("layer_scalar")

    def _stored(self, name: str) -> str:
        return f"{PREFIX}layers.{self._index}.{name}"

    def _weight(self, name: str) -> Array:
        stored = self._checkpoint.tensors[self._stored(name)]
        return stored.read_float32().reshape(stored.shape)

    def _linear(self, x: Array, name: str) -> Array:
        stored, rounding = self._stored(name), self._rounding
        return rounding.product(stored, rounding.inputs(stored, x), self._weight(name))

    def _norm(self, x: Array, name: str) -> Array:
        return rms_norm(x, self._spec.eps, self._weight(name))

    def _attention(self, x: Array, starts: Sequence[int]) -> Array:
        spec, n = self._spec, self._index
        sliding, size = spec.sliding[n], spec.layer_head_dim(n)
        q = self._linear(x, "self_attn.q_proj.weight").reshape(len(x), -1, size)
        k = self._linear(x, "self_attn.k_proj.weight").reshape(len(x), -1, size)
        v = k
        if sliding:
            v = self._linear(x, "self_attn.v_proj.weight").reshape(len(x), -1, size)
        q = self._norm(q, "self_attn.q_norm.weight")
        v = rms_norm(v, spec.eps)
        k = self._norm(k, "self_attn.k_norm.weight")
        frequencies = (
            inverse_frequencies(size, spec.rope_theta, size // 2)
            if sliding
            else inverse_frequencies(size, spec.global_rope_theta, spec.rotated_pairs)
        )
        window = spec.window if sliding else None
        cached = self._rounding.cache
        mixed = [
            attention(
                rope(q[a:b], frequencies),
                cached(rope(k[a:b], frequencies)),
                cached(v[a:b]),
                window=window,
            )
            for a, b in pairwise(starts)
        ]
        return self._linear(np.concatenate(mixed), "self_attn.o_proj.weight")

    def _dense(self, x: Array) -> Array:
        gate = gelu_tanh(self._linear(x, "mlp.gate_proj.weight"))
        up = self._linear(x, "mlp.up_proj.weight")
        return self._linear(gate * up, "mlp.down_proj.weight")

    def _experts(self, x: Array, hidden: Array) -> Array:
        """Run the experts. ``x`` is what they see, ``hidden`` the residual stream, which the router
        sees."""
        spec = self._spec
        routed = rms_norm(hidden, spec.eps) * self._weight("router.scale")
        routed *= np.float32(spec.hidden**-0.5)
        chances = softmax(routed @ self._weight("router.proj.weight").T)
        chosen = np.argpartition(-chances, spec.experts_per_token - 1, axis=-1)
        chosen = chosen[:, : spec.experts_per_token]
        shares = np.take_along_axis(chances, chosen, axis=-1)
        shares /= shares.sum(axis=-1, keepdims=True)
        shares *= self._weight("router.per_expert_scale")[chosen]
        gate_up = self._expert_reader("experts.gate_up_proj")
        down = self._expert_reader("experts.down_proj")
        out = np.zeros_like(x)
        rounding, down_name = self._rounding, self._stored("experts.down_proj")
        gate_up_name = self._stored("experts.gate_up_proj")
        seen = rounding.inputs(gate_up_name, x)
        for expert in np.unique(chosen):
            rows, places = np.nonzero(chosen == expert)
            both = rounding.product(gate_up_name, seen[rows], gate_up(int(expert)))
            gate, up = np.split(both, 2, axis=-1)
            mixed = rounding.inputs(down_name, gelu_tanh(gate) * up)
            result = rounding.product(down_name, mixed, down(int(expert)))
            out[rows] += result * shares[rows, places, None]
        return out

    def _expert_reader(self, name: str) -> Callable[[int], Array]:
        """Return a function that reads the matrix of one expert."""
        stored = self._checkpoint.tensors[self._stored(name)]
        _, rows, columns = stored.shape

        def read(expert: int) -> Array:
            flat = stored.read_float32(expert * rows * columns, rows * columns)
            return flat.reshape(rows, columns)

        return read
