"""Where each rule was read. Paths are below ``tensorrt_llm/_torch`` of NVIDIA/TensorRT-LLM, those
that begin with ``cpp/`` from its root.

The public files lie on both sides of 1.3.0rc29, the pinned version, which is not tagged among
them. None of the rules was run on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BF16_DENSE", "DENSE_SCALES", "EXPERT_KERNEL", "FP8_DENSE", "FP8_EXPERTS", "FP8_RESCALE",
    "GATED_FC1", "INT4_DENSE", "INT4_EXPERTS", "INT4_EXPERT_SCALES", "KV_COPIES", "MODEL",
    "NVFP4_DENSE", "NVFP4_SCALES", "Source",
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

MODEL = Source("models/modeling_gemma4.py", "Gemma4ForCausalLM", "commits 00e7d103, 7d494403")
KV_COPIES = Source(
    "models/checkpoints/hf/gemma4_weight_mapper.py",
    "_duplicate_kv_weights_with_head_dim",
    "commits 1c58b177, 7ed07f06",
)
EXPERT_KERNEL = Source(
    "cpp/tensorrt_llm/kernels/cutlass_kernels/moe_gemm/moe_kernels.cu",
    "CutlassMoeFCRunner::runMoe: hidden size and width of an expert must be multiples of 128 bits "
    "of weights, which are 8 in bf16 and 16 in fp8; of 256 bits only without a gate",
    "commit ac73e311",
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
BF16_DENSE = Source(
    "include/flashinfer/activation.cuh of flashinfer-ai/flashinfer",
    "act_and_mul_kernel, which Gemma 4's gelu_tanh calls: it loads gate and up by 16 bytes each, "
    "one behind the other. UnquantizedLinearMethod of modules/linear.py asks for nothing",
    "commit 162d9afc",
)
FP8_DENSE = Source(
    "cpp/tensorrt_llm/thop/cublasScaledMM.cpp",
    "cublas_scaled_mm_out: inputs and outputs must be multiples of 16",
    "commits 0846822a, 762f6160",
)
NVFP4_DENSE = Source(
    "cpp/tensorrt_llm/thop/fp4Gemm.cpp",
    "fp4_bmm_impl: inputs and outputs must be multiples of 32. NVFP4LinearMethod.post_load_weights "
    "of modules/linear.py pads the weight's, and cuts the outputs, but nothing pads the inputs of "
    "the down projection, so the two do not match",
    "commit c23205d4, and a version of linear.py before 1.3.0rc29",
)
INT4_DENSE = Source(
    _LINEAR,
    "W4A8_AWQ_LinearMethod.create_weights: inputs that are no multiple of the group are a "
    "ValueError",
    "commit ed53795b and a later version",
)
