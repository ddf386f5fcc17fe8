"""One decoder layer of Gemma 4 as a model of its own. Needs torch and transformers.

It is transformers' model class with one layer, so that ModelOpt finds and names everything as in
the whole model. Hidden states go in as ``inputs_embeds``: only ``embed_tokens`` scales, and the
layer's position embeddings and masks depend on nothing but the positions. The vision tower is left
out and the vocabulary is two tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.model_spec import ModelSpec
from gemma4_build.shards import StoredTensor
from gemma4_build.tensor_table import EMBEDDING, PREFIX
from gemma4_build.trtllm.hf_config import old_style, read_json
from gemma4_build.trtllm.layerwise.names import layer_prefix
from gemma4_build.trtllm.layerwise.packing import attention_masks, positions

__all__ = ["VOCABULARY", "build_layer", "forward_layer", "read_bf16"]

VOCABULARY = 2
"""Tokens of the one-layer model. ModelOpt's export sends token 1 through it, to see which linear
layers have the same input."""

_TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def read_bf16(tensor: StoredTensor, first: int = 0, count: int | None = None) -> torch.Tensor:
    """Return ``count`` elements from element ``first`` on, flat, rounded to bf16."""
    return torch.from_numpy(tensor.read(first, count)).view(_TORCH[tensor.dtype]).bfloat16()


def build_layer(checkpoint: Checkpoint, layer: int, device: str) -> Any:
    """Read the weights of ``layer``: they are layer 0 of the returned model.

    Raises :class:`RuntimeError` when transformers wants other tensors, and the kinds of
    :class:`gemma4_build.errors.BadCheckpointError`."""
    spec, prefix = checkpoint.spec, layer_prefix(layer)
    weights = {
        EMBEDDING: torch.ones(VOCABULARY, spec.hidden, dtype=torch.bfloat16),
        f"{PREFIX}norm.weight": torch.ones(spec.hidden, dtype=torch.bfloat16),
    }
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(prefix):
            own_name = layer_prefix(0) + name.removeprefix(prefix)
            weights[own_name] = read_bf16(tensor).reshape(tensor.shape)
    # ModelOpt sees the experts' matrices only when they go through F.linear one by one.
    model, report = Gemma4ForConditionalGeneration.from_pretrained(
        None,
        config=_config(read_json(checkpoint.folder / "config.json"), spec, layer),
        state_dict=weights,
        dtype=torch.bfloat16,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
    )
    lost = {key: sorted(value) for key, value in report.items() if value}
    if lost:
        raise RuntimeError(f"transformers did not load the whole of layer {layer}: {lost}")
    # So that the text model's output is the layer's.
    model.model.language_model.norm = nn.Identity()
    return model.eval().to(device)


def forward_layer(model: Any, states: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """Return the layer's output for ``states`` [1, tokens, hidden] on its device, of texts of
    ``lengths`` one after another."""
    text = model.model.language_model
    result: torch.Tensor = text(
        inputs_embeds=states,
        position_ids=positions(lengths).to(states.device),
        attention_mask=attention_masks(lengths, text.config.sliding_window, states.device),
        use_cache=False,
    ).last_hidden_state
    return result


def _config(whole: dict[str, Any], spec: ModelSpec, layer: int) -> Any:
    """Return a config in the old style with a full layer that has this layer's heads: all versions
    of transformers read it, and all make the last layer a full one; so the kind is set
    afterward."""
    config = old_style(whole, spec)
    config["vision_config"] = None
    config["text_config"] |= {
        "num_hidden_layers": 1,
        "layer_types": ["full_attention"],
        "global_head_dim": spec.layer_head_dim(layer),
        "num_global_key_value_heads": spec.layer_kv_heads(layer),
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
    }
    result = Gemma4Config.from_dict(config)
    kind = "sliding_attention" if spec.sliding[layer] else "full_attention"
    result.text_config.layer_types = [kind]
    return result
