"""What Gemma 4 26B-A4B needs before money is spent: memory, GPUs, replicas and what they cost.

Sizes come from :mod:`gemma4_build` (weights) and :mod:`gemma4_runtime.trtllm.kv_memory` (KV cache),
which the build and a start use too; what a GPU can run at all from
:mod:`gemma4_runtime.trtllm.compatibility`. The figures of the GPUs are in ``catalog.yaml``.
"""
