"""Quantizing with ModelOpt one decoder layer at a time, so that memory is bounded by a layer.

What a layer's scales depend on is its own weights and the activations that reach it. While ModelOpt
calibrates, the layers before compute unquantized, so the activations can be carried from layer to
layer and the result is the one that the whole model at once would give, bit for bit (tests).
:mod:`gemma4_build.trtllm.ptq_child` runs this; only that process imports torch.
"""
