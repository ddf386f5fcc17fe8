"""The whole forward pass, layer by layer over all prompts at once.

A layer's weights are read when it runs and dropped after it; experts one by one. So memory is the
hidden states, one big matrix and the logits asked for, whatever the checkpoint's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from gemma4_build.progress import Reporter
from gemma4_build.reference.layer import Layer
from gemma4_build.reference.ops import Array, rms_norm
from gemma4_build.reference.weights import EXACT, Rounding, Tensor, Weights
from gemma4_build.tensor_table import EMBEDDING, PREFIX

__all__ = ["final_states", "project", "reference_logits"]

_ROWS = 8192
"""Vocabulary rows per step of the output matrix."""


def reference_logits(
    checkpoint: Weights,
    prompts: Sequence[Sequence[int]],
    *,
    last: Sequence[int],
    reporter: Reporter,
) -> list[Array]:
    """Return the logits [last[i], vocab] of the last ``last[i]`` positions of each prompt, in
    float32."""
    states = final_states(checkpoint, prompts, last=last, reporter=reporter)
    return np.split(project(checkpoint, states), list(accumulate(last))[:-1])


def final_states(
    checkpoint: Weights,
    prompts: Sequence[Sequence[int]],
    *,
    last: Sequence[int],
    reporter: Reporter,
    rounding: Rounding = EXACT,
) -> Array:
    """Return what the output matrix is applied to, [sum(last), hidden]: the last ``last[i]``
    positions of each prompt, one prompt after another.

    The embedding scale is float32, as in llama.cpp and in transformers with float32 weights (with
    bf16 weights transformers rounds it). Ids must be text: image and audio placeholders are not
    replaced.
    """
    spec = checkpoint.spec
    embedding = checkpoint.tensors[EMBEDDING]
    starts = [0, *accumulate(map(len, prompts))]
    ids = np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in prompts])
    hidden = _embed(embedding, ids)
    with reporter.bytes("Reference", total=_layer_bytes(checkpoint)) as tick:
        for index in range(spec.layers):
            hidden = Layer(checkpoint, index, rounding)(hidden, starts)
            tick(_layer_bytes(checkpoint) // spec.layers)
    wanted = np.concatenate(
        [np.arange(end - count, end) for end, count in zip(starts[1:], last, strict=True)]
    )
    final = checkpoint.tensors[f"{PREFIX}norm.weight"].read_float32()
    return rms_norm(hidden[wanted], spec.eps, final)


def project(checkpoint: Weights, states: Array) -> Array:
    """Return the logits [rows, vocab] of :func:`final_states`' rows."""
    logits = _project(states, checkpoint.tensors[EMBEDDING])
    softcap = np.float32(checkpoint.spec.softcap)
    logits /= softcap
    np.tanh(logits, out=logits)
    logits *= softcap
    return logits


def _embed(embedding: Tensor, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Array:
    _, width = embedding.shape
    rows, places = np.unique(ids, return_inverse=True)
    table = np.stack([embedding.read_float32(int(row) * width, width) for row in rows])
    return table[places] * np.float32(math.sqrt(width))


def _project(x: Array, embedding: Tensor) -> Array:
    vocab, width = embedding.shape
    logits = np.empty((len(x), vocab), dtype=np.float32)
    for first in range(0, vocab, _ROWS):
        rows = min(_ROWS, vocab - first)
        matrix = embedding.read_float32(first * width, rows * width).reshape(rows, width)
        logits[:, first : first + rows] = x @ matrix.T
    return logits


def _layer_bytes(checkpoint: Weights) -> int:
    prefix = f"{PREFIX}layers."
    return sum(t.read_size for name, t in checkpoint.tensors.items() if name.startswith(prefix))
