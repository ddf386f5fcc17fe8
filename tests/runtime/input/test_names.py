"""Requests with the names and values of NVIDIA's models mean what they mean there, or are refused
by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.contract.nvidia import NVIDIA_INPUTS, Alias, NoEffect
from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.names import own_names, read_request

ALIASES = [tensor for tensor in NVIDIA_INPUTS if isinstance(tensor, Alias)]
NO_EFFECT = [tensor for tensor in NVIDIA_INPUTS if isinstance(tensor, NoEffect)]


@pytest.mark.parametrize("tensor", ALIASES, ids=lambda tensor: tensor.name)
def test_an_alias_is_its_input(tensor: Alias) -> None:
    assert tensor.of in INPUT and INPUT[tensor.of].dtype == tensor.dtype
    value = tensor.example[0]
    assert own_names({tensor.name: value}) == {tensor.of: value}
    assert own_names({tensor.name: value, tensor.of: value}) == {tensor.of: value}
    with pytest.raises(RequestError, match=rf"^{tensor.name}: .* as {tensor.of} says") as caught:
        own_names({tensor.name: value, tensor.of: 0})
    assert caught.value.field == tensor.name


@pytest.mark.parametrize("tensor", NO_EFFECT, ids=lambda tensor: tensor.name)
def test_what_changes_nothing_is_taken_and_the_rest_refused(tensor: NoEffect) -> None:
    for value in tensor.taken or ("",):
        given: Any = [value, value] if tensor.many else value
        assert own_names({tensor.name: given, "max_tokens": 3}) == {"max_tokens": 3}
    others = {"BOOL": (True, False), "STRING": ("x",)}.get(tensor.dtype, (-1, 2, 77))
    for value in set(others) - set(tensor.taken):
        given = [value] if tensor.many else value
        with pytest.raises(RequestError, match=f"^{tensor.name}: .+: .+") as caught:
            own_names({tensor.name: given})
        assert caught.value.code == "option_unsupported"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"guided_decoding_guide_type": "ebnf_grammar", "guided_decoding_guide": "g"},
         {"guided_decoding_guide_type": "grammar", "guided_decoding_guide": "g"}),
        ({"guided_decoding_guide_type": "json", "guided_decoding_guide": ""},
         {"guided_decoding_guide_type": "json"}),
        ({"guided_decoding_guide_type": "", "guided_decoding_guide": ""}, {}),
    ],
)  # fmt: skip
def test_guides(theirs: dict[str, str], ours: dict[str, str]) -> None:
    assert own_names(theirs) == ours


def test_tensors_are_read_by_our_names() -> None:
    tensors: dict[str, Any] = {
        "seed": np.array([[7]], np.uint64),
        "beam_width": np.array([[1]], np.int32),
        "bad_words": np.array([[b""]], np.object_),
    }
    assert read_request(tensors) == {"random_seed": 7, "bad_words": [""]}
