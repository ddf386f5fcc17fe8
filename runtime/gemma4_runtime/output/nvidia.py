"""One chunk -> the output tensors of NVIDIA's ``ensemble``, in the shapes that their clients index.
Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gemma4_runtime.messages import Chunk
from gemma4_runtime.output.render import channel_text

__all__ = ["nvidia_tensors"]

_Array = npt.NDArray[Any]


def _text(chunk: Chunk) -> _Array:
    return np.array([channel_text(chunk, "content").encode()], np.object_)


def _reasoning(chunk: Chunk) -> _Array:
    return np.array([channel_text(chunk, "reasoning").encode()], np.object_)


def _one(value: int) -> _Array:
    return np.array([[value]], np.int32)


_MADE: dict[str, Callable[[Chunk], _Array]] = {
    "text_output": _text,
    "reasoning_output": _reasoning,
    "batch_index": lambda chunk: _one(chunk.place[0]),
    "sequence_index": lambda chunk: _one(chunk.place[1]),
    "num_input_tokens": lambda chunk: _one(chunk.prompt_tokens),
    "num_output_tokens": lambda chunk: _one(len(chunk.ids)),
    "cum_log_probs": lambda chunk: np.array([[chunk.cum_log_prob]], np.float32),
    "output_log_probs": lambda chunk: np.array([[chunk.log_probs]], np.float32),
}


def nvidia_tensors(chunk: Chunk, wanted: Collection[str]) -> Iterator[tuple[str, _Array]]:
    """Name and array of each output in ``wanted`` that the chunk has: text of shape [1], one number
    of shape [1, 1], ``output_log_probs`` of shape [1, 1, n] for n tokens, of which there is one or
    more."""
    scored = bool(chunk.log_probs) or chunk.cum_log_prob != 0
    has = {"cum_log_probs": scored, "output_log_probs": bool(chunk.log_probs)}
    for name, make in _MADE.items():
        if name in wanted and has.get(name, True):
            yield name, make(chunk)
