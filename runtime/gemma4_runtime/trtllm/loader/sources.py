"""Where each rule was read. Paths are below ``tensorrt_llm/_torch`` of NVIDIA/TensorRT-LLM.

The public files lie on both sides of 1.3.0rc29, the pinned version, which is not tagged among
them. None of the rules was run on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DENSE_SCALES", "FP8_RESCALE", "GATED_FC1", "KV_COPIES", "LINEAR", "MODEL", "MOE", "Source",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """``where`` is a file, ``what`` the name in it, ``versions`` those that were read."""

    where: str
    what: str
    versions: str

    def __str__(self) -> str:
        return f"{self.where}, {self.what} ({self.versions})"


_NEAR = "around 1.3.0rc29"

MODEL = Source("models/modeling_gemma4.py", "Gemma4ForCausalLM", "commits 00e7d103, 7d494403")
KV_COPIES = Source(
    "models/checkpoints/hf/gemma4_weight_mapper.py",
    "_duplicate_kv_weights_with_head_dim",
    "commits 1c58b177, 7ed07f06",
)
MOE = Source("modules/fused_moe/quantization.py", "get_weights_shapes", _NEAR)
GATED_FC1 = Source(
    "modules/fused_moe/quantization.py",
    "NVFP4CutlassFusedMoEMethod",
    "pull request 18520, merged in September 2026, refuses what earlier versions load wrong",
)
LINEAR = Source("modules/linear.py", "create_weights", _NEAR)
DENSE_SCALES = Source(
    "modules/linear.py",
    "NVFP4LinearMethod.load_weight_scales, W4A8_AWQ_LinearMethod.load_weight_scales_w4a8",
    _NEAR,
)
FP8_RESCALE = Source("modules/linear.py", "FP8QDQLinearMethod.rescale_fused_weights", _NEAR)
