"""``tensorrt_llm.llmapi``: configuration classes and the rest of the public names."""

from tensorrt_llm.llm import LLM
from tensorrt_llm.outputs import CompletionOutput, RequestOutput
from tensorrt_llm.records import config_class
from tensorrt_llm.sampling_params import GuidedDecodingParams, SamplingParams

__all__ = [
    "LLM", "CompletionOutput", "CudaGraphConfig", "GuidedDecodingParams", "KvCacheConfig",
    "MTPDecodingConfig", "MoeConfig", "MultimodalConfig", "RequestOutput", "SamplingParams",
    "SchedulerConfig", "TorchLlmArgs",
]  # fmt: skip

CudaGraphConfig = config_class("CudaGraphConfig")
KvCacheConfig = config_class("KvCacheConfig")
MTPDecodingConfig = config_class("MTPDecodingConfig")
MoeConfig = config_class("MoeConfig")
MultimodalConfig = config_class("MultimodalConfig")
SchedulerConfig = config_class("SchedulerConfig")
TorchLlmArgs = config_class("TorchLlmArgs")
