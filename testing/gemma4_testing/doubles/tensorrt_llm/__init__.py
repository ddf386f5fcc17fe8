"""A test double of TensorRT-LLM, which no machine of this project can install.

Names, types and defaults are the recorded API's (``gemma4_runtime/trtllm/api``); what that refuses
is refused here. Behavior is what the record's sources say, never more permissive: what the double
does not do raises NotImplementedError. The demo checkpoint really decodes, with llama.cpp.

Environment: ``TRTLLM_DOUBLE_GPUS`` (GPUs of the machine, 8), ``TRTLLM_DOUBLE_VERSION``,
``TRTLLM_DOUBLE_FAULT`` (see :mod:`tensorrt_llm.faults`).
"""

import os

from gemma4_runtime.trtllm.api import VERSION

from tensorrt_llm.llm import LLM
from tensorrt_llm.sampling_params import GuidedDecodingParams, SamplingParams

__all__ = ["LLM", "GuidedDecodingParams", "SamplingParams", "__version__"]

__version__ = os.environ.get("TRTLLM_DOUBLE_VERSION", VERSION)
