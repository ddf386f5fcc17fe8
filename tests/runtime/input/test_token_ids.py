"""Token ids in: the same request as the text or the chat that they are of, or a refusal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gemma4_client.request import text_request
from gemma4_client.wire import build_request
from gemma4_runtime.added_tokens import TURN_MARKERS
from gemma4_runtime.capabilities import CAPABILITIES, Capabilities
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.input.tensors import read_inputs
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.preparation.lanes import Lane, lane_of
from hypothesis import given, settings
from hypothesis import strategies as st

LIMITS = Limits(max_prompt_tokens=60, max_total_tokens=100)
PIECES = st.sampled_from(["a", " b", "<|turn>model\n", "<turn|>", "<|channel>thought\n", "<channel|>", "<|think|>", "é", "👋", "<bos>", "\n"])  # fmt: skip


@pytest.fixture(scope="module", params=["llama_cpp", "tensorrt_llm", "synthetic"])
def capabilities(request: pytest.FixtureRequest) -> Capabilities:
    return CAPABILITIES[request.param]


@pytest.fixture(scope="module")
def preparer(checkpoint: Path, capabilities: Capabilities) -> Preparer:
    return Preparer(checkpoint, limits=LIMITS, capabilities=capabilities)


def prepare(preparer: Preparer, **values: Any) -> GenerationRequest:
    values = {"random_seed": 1, "max_tokens": 5} | values
    return preparer.prepare_values(values, request_id="r", key="k", now=0.0)


def test_ids_are_the_text_that_they_are_of(preparer: Preparer) -> None:
    @settings(max_examples=1000)
    @given(st.lists(PIECES, min_size=1, max_size=12).map("".join))
    def check(text: str) -> None:
        of_text = prepare(preparer, text_input=text)
        of_ids = prepare(preparer, prompt_token_ids=of_text.input_ids)
        assert of_ids == of_text
        bare = of_text.input_ids[1:]
        if bare:
            expected = msgspec.structs.replace(of_text, input_ids=bare)
            assert prepare(preparer, prompt_token_ids=bare) == expected  # nothing is added

    check()


def test_any_ids(preparer: Preparer) -> None:
    tokenizer = preparer._tokenizer
    reserved = {i for literal, i in tokenizer.control.items() if literal not in TURN_MARKERS}
    edges = [-(2**31), -1, tokenizer.vocab_size - 1, tokenizer.vocab_size, 2**31 - 1]
    some = st.integers(0, tokenizer.vocab_size - 1) | st.sampled_from([*reserved, *edges])

    @settings(max_examples=300)
    @given(st.lists(some, max_size=70))
    def check(ids: list[int]) -> None:
        bad = [i for i, t in enumerate(ids) if t in reserved or not 0 <= t < tokenizer.vocab_size]
        try:
            assert prepare(preparer, prompt_token_ids=ids).input_ids == ids
            assert not bad and 1 <= len(ids) <= LIMITS.max_prompt_tokens
        except RequestError as error:
            wrong: dict[str, bool] = {
                Code.MISSING_INPUT: not ids,
                Code.PROMPT_TOO_LONG: len(ids) > LIMITS.max_prompt_tokens,
                Code.OUT_OF_RANGE: any(not 0 <= t < tokenizer.vocab_size for t in ids),
                Code.RESERVED_INPUT: any(t in reserved for t in ids),
            }
            assert wrong[error.code]
            assert error.field is not None
            if error.field != "prompt_token_ids":
                assert error.field in [f"prompt_token_ids[{at}]" for at in bad]

    check()


def test_the_client_sends_what_the_server_reads() -> None:
    ids = [2, 5, 300]
    for given_ids in (ids, tuple(ids), np.array(ids)):
        request = text_request(None, {}, prompt_token_ids=given_ids, request_id="r")  # type: ignore[arg-type]
        wire = build_request(request.inputs)
        raw = dict(zip((i.name for i in wire.inputs), wire.raw_input_contents, strict=True))
        array = np.frombuffer(raw["prompt_token_ids"], np.int32)[np.newaxis]
        assert read_inputs({"prompt_token_ids": array}) == {"prompt_token_ids": ids}


@pytest.mark.parametrize(
    ("text", "ids", "says"),
    [
        (None, None, "give one of text and prompt_token_ids"),
        ("a", [2], "give one of text and prompt_token_ids"),
        (None, [], "must be a list of token ids"),
        (None, "ab", "must be a list of token ids"),
        (None, [2, 2**31], "prompt_token_ids=2147483648 is no INT32"),
        (None, [2, 0.5], "prompt_token_ids=0.5 is no INT32"),
        (None, [2, "a"], "prompt_token_ids='a' is no INT32"),
    ],
)
def test_what_the_client_refuses(text: str | None, ids: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        text_request(text, {}, prompt_token_ids=ids)


def test_many_ids_are_read_without_a_look_at_each() -> None:
    array = np.zeros((1, 2**18), np.int32)
    start = time.process_time()
    assert len(read_inputs({"prompt_token_ids": array})["prompt_token_ids"]) == 2**18
    assert time.process_time() - start < 0.1
    with pytest.raises(RequestError, match="at most 262144"):
        read_inputs({"prompt_token_ids": np.zeros((1, 2**18 + 1), np.int32)})
    for wrong in (np.zeros((1, 2), np.float32), np.zeros((1, 2), np.bool_)):
        with pytest.raises(RequestError, match="prompt_token_ids"):
            read_inputs({"prompt_token_ids": wrong})


def test_many_ids_are_not_checked_in_the_loop() -> None:
    lanes = {n: lane_of({"prompt_token_ids": [5] * n}, guide_known=False, most_messages=9)
             for n in (1000, 50_000, 200_000)}  # fmt: skip
    assert list(lanes.values()) == [Lane.AT_ONCE, Lane.SHORT, Lane.LONG]
