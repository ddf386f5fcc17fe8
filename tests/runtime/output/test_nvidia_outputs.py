"""The outputs of NVIDIA's ensemble have the shapes that their clients index."""

from __future__ import annotations

import numpy as np
import pytest
from gemma4_runtime.contract.nvidia_models import NVIDIA_MODELS, Shaped
from gemma4_runtime.messages import Chunk, Segment
from gemma4_runtime.output.nvidia import nvidia_tensors

OUTPUTS = {
    tensor.name: tensor
    for tensor in NVIDIA_MODELS["ensemble"].outputs
    if isinstance(tensor, Shaped)
}
TYPES = {"STRING": np.object_, "INT32": np.int32, "FP32": np.float32}
CHUNK = Chunk(
    "k", 3, ids=[5, 6], segments=[Segment("content", "né".encode()), Segment("reasoning", b"hm")],
    prompt_tokens=7, completion_tokens=9, log_probs=[-0.5, -0.25], cum_log_prob=-2.0, place=(4, 1),
)  # fmt: skip


def test_values_as_their_clients_read_them() -> None:
    found = dict(nvidia_tensors(CHUNK, OUTPUTS))
    assert found["text_output"][0].decode() == "né"
    assert found["reasoning_output"][0] == b"hm"
    assert (found["batch_index"][0][0], found["sequence_index"][0][0]) == (4, 1)
    assert (found["num_input_tokens"][0][0], found["num_output_tokens"][0][0]) == (7, 2)
    assert found["cum_log_probs"][0][0] == -2.0
    assert found["output_log_probs"][0][0].tolist() == [-0.5, -0.25]


@pytest.mark.parametrize("chunk", [CHUNK, Chunk("k", 0)], ids=["full", "empty"])
def test_every_array_is_as_declared(chunk: Chunk) -> None:
    found = dict(nvidia_tensors(chunk, OUTPUTS))
    assert len(found) == (8 if chunk is CHUNK else 6)
    for name, made in found.items():
        assert made.dtype == TYPES[OUTPUTS[name].dtype], name
        assert made.ndim == len(OUTPUTS[name].shape), name


def test_only_what_is_wanted_is_made() -> None:
    assert list(OUTPUTS) == [tensor.name for tensor in NVIDIA_MODELS["ensemble"].outputs]
    for name in OUTPUTS:
        assert [found for found, _ in nvidia_tensors(CHUNK, [name])] in ([name], [])
    assert not list(nvidia_tensors(CHUNK, ["context_logits"]))


def test_log_probs_stay_out_of_an_answer_that_nobody_asked_them_of() -> None:
    bare = Chunk("k", 0, ids=[5], segments=[Segment("content", b"x")])
    assert {"cum_log_probs", "output_log_probs"}.isdisjoint(dict(nvidia_tensors(bare, OUTPUTS)))
    # The last chunk of one that was asked may have no token.
    last = Chunk("k", 1, cum_log_prob=-1.0)
    found = dict(nvidia_tensors(last, OUTPUTS))
    assert "cum_log_probs" in found and "output_log_probs" not in found
    assert all(array.nbytes for array in found.values())
