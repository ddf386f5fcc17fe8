"""Where the weights of an engine come from that was made from a GGUF file, in words."""

from __future__ import annotations

from gemma4_runtime.manifest import GgufWeights

__all__ = ["weights_words"]


def weights_words(gguf: GgufWeights) -> str:
    """Return the file's name and its types, the one of most tensors first, F32 last: norms and
    scales always are."""
    order = sorted(gguf.types, key=lambda kind: (kind == "F32", -gguf.types[kind], kind))
    types = ", ".join(f"{gguf.types[kind]} {kind}" for kind in order)
    return f"as published in {gguf.file} ({types} tensors)"
