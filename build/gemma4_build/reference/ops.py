"""The operations of the forward pass, in float32. Source: transformers ``modeling_gemma4.py``."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "attention", "gelu_tanh", "inverse_frequencies", "rms_norm", "rope", "softmax"]

Array = npt.NDArray[np.float32]


def rms_norm(x: Array, eps: float, weight: Array | None = None) -> Array:
    """Return ``x / sqrt(mean(x**2) + eps) * weight`` over the last axis; no ``1 + weight``."""
    scale = np.mean(np.square(x), axis=-1, keepdims=True)
    scale += np.float32(eps)
    normed: Array = x / np.sqrt(scale)
    if weight is not None:
        normed *= weight
    return normed


def gelu_tanh(x: Array) -> Array:
    """Return ``gelu_pytorch_tanh``: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
    result: Array = np.float32(0.5) * x * (1 + np.tanh(inner))
    return result


def softmax(x: Array) -> Array:
    """Return the softmax over the last axis."""
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def inverse_frequencies(head_dim: int, theta: float, rotated_pairs: int) -> Array:
    """Return [head_dim / 2] angles per position: ``theta ** (-2i / head_dim)``, 0 for the pairs
    past ``rotated_pairs`` (rope type "proportional")."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies: Array = (1 / np.power(np.float32(theta), exponents)).astype(np.float32)
    frequencies[rotated_pairs:] = 0
    return frequencies


def rope(x: Array, frequencies: Array) -> Array:
    """Rotate [tokens, heads, head_dim] by position; pairs are (i, i + head_dim / 2)."""
    angles = np.arange(x.shape[0], dtype=np.float32)[:, None] * frequencies
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    low, high = np.split(x, 2, axis=-1)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def attention(q: Array, k: Array, v: Array, *, window: int | None) -> Array:
    """Compute causal attention with scale 1. q [tokens, heads, d], k and v [tokens, kv_heads, d] ->
    [tokens, heads * d]. With ``window`` a key is visible iff it is less than ``window`` back."""
    tokens, heads, size = q.shape
    group = heads // k.shape[1]
    distance = np.arange(tokens)[:, None] - np.arange(tokens)[None, :]
    hidden = distance < 0 if window is None else (distance < 0) | (distance >= window)
    mask = np.where(hidden, np.float32(-np.inf), np.float32(0))
    out = np.empty((tokens, heads, size), dtype=np.float32)
    for head in range(heads):
        scores = q[:, head] @ k[:, head // group].T
        scores += mask
        out[:, head] = softmax(scores) @ v[:, head // group]
    return out.reshape(tokens, heads * size)
