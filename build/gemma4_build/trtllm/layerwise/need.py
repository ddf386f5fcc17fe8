"""What quantizing holds at once, from the model's sizes and the calibration texts alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gemma4_build.model_spec import ModelSpec
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_build.trtllm.layerwise.names import LAYERS
from gemma4_build.trtllm.layerwise.packing import PACK_TOKENS

__all__ = ["QuantizeNeed", "quantize_need"]

LAYER_FACTOR = {"fp8": 1.7, "nvfp4": 1.7, "int4": 2.6}
"""Peak over the bf16 bytes of a layer: the layer, ModelOpt's packed copy, what packing needs; for
int4 also the experts as linear layers. Measured at the 26B's widths: 1.5, 1.5 and 2.5."""

ATTENTION_ITEM = 12
"""Bytes of a pair of tokens in a head: bf16 scores, masked scores, float32 softmax and its bf16
copy. Measured at the 26B's widths: 11.4 in all for 4096 tokens."""

FIXED = 3 << 29
"""torch, transformers and ModelOpt; on a GPU its context and workspaces."""

BESIDE_GPU = 1 << 31
"""The same in host memory, with CUDA's libraries. Measured, demo model on an H200: 1.96 GB."""


@dataclass(frozen=True, slots=True)
class QuantizeNeed:
    """In bytes. ``layer`` is the largest decoder layer with all that is made of it, ``states`` the
    activations before and after it, ``attention`` those inside it for the longest sequence of
    texts, ``gpu_attention`` the same on a GPU, where more texts go into one."""

    layer: int
    states: int
    attention: int
    gpu_attention: int

    @property
    def host(self) -> int:
        """Of host memory, to do it on the CPU."""
        return self.layer + self.states + self.attention + FIXED

    @property
    def gpu(self) -> int:
        """Of GPU memory, to do it there."""
        return self.layer + self.gpu_attention + FIXED

    @property
    def beside_gpu(self) -> int:
        """Of host memory, to do it on a GPU: the layer passes through."""
        return self.layer + self.states + BESIDE_GPU


def quantize_need(spec: ModelSpec, precision: str, *, tokens: int, longest: int) -> QuantizeNeed:
    """Return what quantizing needs. ``spec`` has the widths to quantize; ``tokens`` are those of
    all calibration texts, ``longest`` those of the longest one."""
    layers = [0] * spec.layers
    for rule in checkpoint_tensors(spec):
        if rule.name.startswith(LAYERS):
            number = int(rule.name.removeprefix(LAYERS).partition(".")[0])
            layers[number] += 2 * prod(rule.shape)

    def attention(device: str) -> int:
        sequence = max(longest, min(tokens, PACK_TOKENS[device]))
        return ATTENTION_ITEM * spec.heads * sequence * sequence

    return QuantizeNeed(
        layer=int(LAYER_FACTOR[precision] * max(layers)),
        states=2 * 2 * tokens * spec.hidden,
        attention=attention("cpu"),
        gpu_attention=attention("cuda"),
    )
