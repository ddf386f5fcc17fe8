"""Where each rule was read. Paths are below ``tensorrt_llm/_torch`` of NVIDIA/TensorRT-LLM.

The public files lie on both sides of 1.3.0rc29, the pinned version, which is not tagged among
them. None of the rules was run on a GPU. :data:`UNREAD` is the tag of a rule for which no line was
found that states it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DENSE_SCALES", "FP8_EXPERTS", "FP8_RESCALE", "GATED_FC1", "INT4_EXPERTS",
    "INT4_EXPERT_SCALES", "KV_COPIES", "MODEL", "NVFP4_DENSE", "NVFP4_SCALES", "UNREAD", "Source",
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
_MOE = "modules/fused_moe/quantization.py"
_LINEAR = "modules/linear.py"

UNREAD = Source(
    "modules/linear.py and modules/fused_moe/quantization.py",
    "states it nowhere that was read: a cautious rule of ours",
    _NEAR,
)
"""Rules that only make a shape stricter than the source may want it."""

MODEL = Source("models/modeling_gemma4.py", "Gemma4ForCausalLM", "commits 00e7d103, 7d494403")
KV_COPIES = Source(
    "models/checkpoints/hf/gemma4_weight_mapper.py",
    "_duplicate_kv_weights_with_head_dim",
    "commits 1c58b177, 7ed07f06",
)
GATED_FC1 = Source(
    _MOE,
    "NVFP4CutlassFusedMoEMethod",
    "pull request 18520, merged in September 2026, refuses what earlier versions load wrong",
)
FP8_EXPERTS = Source(
    _MOE,
    "FP8QDQFusedMoEMethod.transform_weights pads rows to 32 and columns to 16 with CUTLASS, the "
    "down projection to 32 both; process_weights_after_loading takes the largest input scale of "
    "all experts and requantizes gate and up to the larger weight scale",
    _NEAR,
)
NVFP4_SCALES = Source(
    _MOE,
    "NVFP4FusedMoEMethod: load_expert_fc31_input_scale_nvfp4 asserts equal input scales; for "
    "weight_scale_2, load_expert_fc31_alpha_nvfp4 asserts it in earlier versions, and "
    "_reconcile_and_compute_alphas of later ones takes the larger with a warning",
    "two earlier versions, and around 1.3.0rc29",
)
INT4_EXPERTS = Source(
    _MOE,
    "WInt4AFP8FusedMoEMethod.create_weights: on SM90 a K that is no multiple of 128 is refused",
    _NEAR,
)
INT4_EXPERT_SCALES = Source(
    _MOE,
    "WInt4AFP8FusedMoEMethod.load_quant_scales takes the larger input_scale, pre_quant_scale and "
    "weight_scale_2 of gate and up, and compares none",
    _NEAR,
)
DENSE_SCALES = Source(
    _LINEAR,
    "NVFP4LinearMethod.load_weight_scales, W4A8_AWQ_LinearMethod.load_weight_scales_w4a8",
    _NEAR,
)
FP8_RESCALE = Source(_LINEAR, "FP8QDQLinearMethod.rescale_fused_weights", _NEAR)
NVFP4_DENSE = Source(
    _LINEAR, "Linear.create_weights: in_features % scaling_vector_size, which is 16",
    "three earlier versions",
)  # fmt: skip
