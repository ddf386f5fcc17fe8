"""Every tensor of a Gemma 4 MoE checkpoint: its name, its shape and its name in the GGUF file.

Names and shapes: transformers ``modeling_gemma4.py``; GGUF names: llama.cpp
``conversion/gemma.py`` (Gemma4Model). No tensor is reshaped, transposed or shifted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gemma4_build.model_spec import ModelSpec, VisionSpec

__all__ = ["EMBEDDING", "PREFIX", "TensorRule", "checkpoint_tensors"]

PREFIX = "model.language_model."
EMBEDDING = f"{PREFIX}embed_tokens.weight"

Kind = Literal["matrix", "embedding", "exact", "unused"]


@dataclass(frozen=True, slots=True)
class TensorRule:
    """``shape`` is row-major. ``kind``: "matrix" takes the precision's type, "embedding" the
    precision's embedding type, "exact" is stored as F32 always, "unused" is not converted."""

    name: str
    shape: tuple[int, ...]
    gguf: str
    kind: Kind


def checkpoint_tensors(spec: ModelSpec) -> tuple[TensorRule, ...]:
    """Return all tensors in the order of the GGUF file, then the unused ones."""
    rules = [
        TensorRule(EMBEDDING, (spec.vocab, spec.hidden), "token_embd.weight", "embedding"),
        TensorRule(f"{PREFIX}norm.weight", (spec.hidden,), "output_norm.weight", "exact"),
    ]
    for layer in range(spec.layers):
        rules.extend(_layer(spec, layer))
    if spec.vision is not None:
        rules.extend(_vision(spec.vision, spec.hidden))
    return tuple(rules)


def _layer(spec: ModelSpec, n: int) -> Iterator[TensorRule]:
    hidden, head_dim = spec.hidden, spec.layer_head_dim(n)
    queries, keys = spec.heads * head_dim, spec.layer_kv_heads(n) * head_dim
    ffn, expert = spec.intermediate, spec.moe_intermediate
    matrices: dict[str, tuple[tuple[int, ...], str]] = {
        "self_attn.q_proj.weight": ((queries, hidden), "attn_q.weight"),
        "self_attn.k_proj.weight": ((keys, hidden), "attn_k.weight"),
        "self_attn.v_proj.weight": ((keys, hidden), "attn_v.weight"),
        "self_attn.o_proj.weight": ((hidden, queries), "attn_output.weight"),
        "mlp.gate_proj.weight": ((ffn, hidden), "ffn_gate.weight"),
        "mlp.up_proj.weight": ((ffn, hidden), "ffn_up.weight"),
        "mlp.down_proj.weight": ((hidden, ffn), "ffn_down.weight"),
        "experts.gate_up_proj": ((spec.experts, 2 * expert, hidden), "ffn_gate_up_exps.weight"),
        "experts.down_proj": ((spec.experts, hidden, expert), "ffn_down_exps.weight"),
    }
    if not spec.sliding[n]:
        del matrices["self_attn.v_proj.weight"]
    exact: dict[str, tuple[tuple[int, ...], str]] = {
        "input_layernorm.weight": ((hidden,), "attn_norm.weight"),
        "self_attn.q_norm.weight": ((head_dim,), "attn_q_norm.weight"),
        "self_attn.k_norm.weight": ((head_dim,), "attn_k_norm.weight"),
        "post_attention_layernorm.weight": ((hidden,), "post_attention_norm.weight"),
        "pre_feedforward_layernorm.weight": ((hidden,), "ffn_norm.weight"),
        "post_feedforward_layernorm.weight": ((hidden,), "post_ffw_norm.weight"),
        "pre_feedforward_layernorm_2.weight": ((hidden,), "pre_ffw_norm_2.weight"),
        "post_feedforward_layernorm_1.weight": ((hidden,), "post_ffw_norm_1.weight"),
        "post_feedforward_layernorm_2.weight": ((hidden,), "post_ffw_norm_2.weight"),
        "router.proj.weight": ((spec.experts, hidden), "ffn_gate_inp.weight"),
        "router.scale": ((hidden,), "ffn_gate_inp.scale"),
        "router.per_expert_scale": ((spec.experts,), "ffn_down_exps.scale"),
        "layer_scalar": ((1,), "layer_output_scale.weight"),
    }
    prefix = f"{PREFIX}layers.{n}."
    for name, (shape, gguf) in exact.items():
        yield TensorRule(prefix + name, shape, f"blk.{n}.{gguf}", "exact")
    for name, (shape, gguf) in matrices.items():
        yield TensorRule(prefix + name, shape, f"blk.{n}.{gguf}", "matrix")


def _vision(vision: VisionSpec, text_hidden: int) -> Iterator[TensorRule]:
    hidden, ffn, heads = vision.hidden, vision.intermediate, vision.heads * vision.head_dim
    tower = "model.vision_tower."
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_vision.embedding_projection.weight": (text_hidden, hidden),
        f"{tower}patch_embedder.input_proj.weight": (hidden, vision.patch_values),
        f"{tower}patch_embedder.position_embedding_table": (2, vision.positions, hidden),
    }
    if vision.standardize:
        shapes |= {f"{tower}std_bias": (hidden,), f"{tower}std_scale": (hidden,)}
    layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.linear.weight": (heads, hidden),
        "self_attn.k_proj.linear.weight": (heads, hidden),
        "self_attn.v_proj.linear.weight": (heads, hidden),
        "self_attn.o_proj.linear.weight": (hidden, heads),
        "self_attn.q_norm.weight": (vision.head_dim,),
        "self_attn.k_norm.weight": (vision.head_dim,),
        "mlp.gate_proj.linear.weight": (ffn, hidden),
        "mlp.up_proj.linear.weight": (ffn, hidden),
        "mlp.down_proj.linear.weight": (hidden, ffn),
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        "pre_feedforward_layernorm.weight": (hidden,),
        "post_feedforward_layernorm.weight": (hidden,),
    }
    for n in range(vision.layers):
        shapes |= {f"{tower}encoder.layers.{n}.{name}": shape for name, shape in layer.items()}
    for name, shape in shapes.items():
        yield TensorRule(name, shape, "", "unused")
