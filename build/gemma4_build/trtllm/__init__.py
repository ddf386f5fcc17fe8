"""Engine folders for TensorRT-LLM: a quantized Hugging Face checkpoint, proven, with arguments.

This package imports neither torch nor ModelOpt; :mod:`gemma4_build.trtllm.ptq_child` does, in a
process of its own.
"""

from __future__ import annotations
