"""A chunk's values as Triton's tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import Output
from gemma4_runtime.output.render import ChunkText
from gemma4_runtime.output.tensors import OutputTensors

TYPES = {"STRING": np.object_, "INT32": np.int32, "FP32": np.float32}
FULL: dict[str, Any] = {
    "text_output": "Grüße",
    "reasoning_output": "hm",
    "tool_calls": "[]",
    "finish_reason": "stop",
    "chunk_index": 3,
    "prompt_tokens": 4,
    "completion_tokens": 5,
    "output_ids": [6, 7],
    "output_log_probs": [-0.5, -0.25],
    "cum_log_probs": -0.75,
    "timings": "{}",
}


def present(text: ChunkText) -> list[Output]:
    return [output for output in OUTPUTS if not output.many or getattr(text, output.name)]


def expected(text: ChunkText) -> dict[str, Any]:
    values = {output.name: getattr(text, output.name) for output in present(text)}
    return {
        name: [value.encode()] if isinstance(value, str) else np.atleast_1d(value).tolist()
        for name, value in values.items()
    }


@pytest.mark.parametrize("given", [(), *[(name,) for name in FULL], tuple(FULL)], ids=repr)
def test_every_output_with_bytes_in_every_response(given: tuple[str, ...]) -> None:
    """In its type and shape, whatever was in the response before."""
    tensors = OutputTensors(lambda name, array: (name, array))
    for text in (ChunkText(**{name: FULL[name] for name in given}), ChunkText(), ChunkText(**FULL)):
        made = tensors.of(text)
        assert [name for name, _ in made] == [output.name for output in present(text)]
        assert {name: array[0].tolist() for name, array in made} == expected(text)
        for (_, array), output in zip(made, present(text), strict=True):
            assert array.nbytes
            assert array.dtype == TYPES[output.dtype]
            assert array.ndim == 2 and len(array) == 1


def test_what_says_nothing_is_made_once() -> None:
    made: list[str] = []
    tensors = OutputTensors(lambda name, array: made.append(name))
    made.clear()
    for index in range(1, 4):
        tensors.of(ChunkText(text_output="a", chunk_index=index))
    assert made == ["text_output", "chunk_index"] * 3


def test_the_most_probable_tokens_are_further_rows() -> None:
    top = [[(1, -0.5), (2, -1.0)], [(3, -0.25), (4, -2.0)]]
    text = ChunkText(output_ids=[1, 3], output_log_probs=[-0.5, -0.25], top_log_probs=top)
    arrays = dict(OutputTensors(lambda name, array: (name, array)).of(text))
    assert arrays["output_ids"].tolist() == [[1, 3, 1, 3, 2, 4]]
    assert arrays["output_log_probs"].tolist() == [[-0.5, -0.25, -0.5, -0.25, -1.0, -2.0]]
