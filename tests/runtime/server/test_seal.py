"""Who may hand a request to the engine step."""

from __future__ import annotations

import pytest
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.messages import GenerationRequest, SamplingParams, encode
from gemma4_runtime.server.seal import seal, unseal

WORD = 2**64 - 3
REQUEST = GenerationRequest(key="k", input_ids=[1, 2], sampling=SamplingParams(max_tokens=3))


def test_what_was_sealed_is_taken():
    assert unseal(seal(REQUEST, WORD), WORD) == REQUEST


@pytest.mark.parametrize(
    "data",
    [b"", b"abc", encode(REQUEST), bytes(8) + encode(REQUEST), seal(REQUEST, WORD - 1)],
)
def test_all_else_is_refused(data):
    with pytest.raises(RequestError, match="send text_input or messages") as caught:
        unseal(data, WORD)
    assert caught.value.status is Status.INVALID_ARGUMENT
