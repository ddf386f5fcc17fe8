"""Chunks and errors as Dynamo reads them, and the load that it hears of."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_client import (
    CancelledError,
    DeadlineExceededError,
    Delta,
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    UnavailableError,
)
from gemma4_dynamo.answer import chunk_of
from gemma4_dynamo.failures import failure_of, never_begun, stopping
from gemma4_dynamo.load import BLOCK_TOKENS, Capacity, Load
from gemma4_dynamo.steps import Step
from gemma4_runtime.error_codes import Code
from hypothesis import given
from hypothesis import strategies as st


def delta(**values: Any) -> Delta:
    usual: dict[str, Any] = {
        "text": "", "reasoning": "", "tool_calls": [], "finish_reason": "", "index": 0,
        "prompt_tokens": 5, "completion_tokens": 2, "ids": [7, 8], "log_probs": [],
        "timings": None,
    }  # fmt: skip
    return Delta(**usual | values)


def test_a_chunk_has_the_ids_alone() -> None:
    assert chunk_of(delta(text="x"), {}) == {"token_ids": [7, 8], "index": 0}


@pytest.mark.parametrize(
    ("ours", "theirs"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop")]
)
def test_the_last_chunk(ours: str, theirs: str) -> None:
    chunk = chunk_of(delta(finish_reason=ours, stop_reason=7, timings={"cached_tokens": 3.0}), {})
    assert chunk["finish_reason"] == theirs
    assert chunk["stop_reason"] == 7
    assert chunk["completion_usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert (
        "prompt_tokens_details" not in chunk_of(delta(finish_reason=ours), {})["completion_usage"]
    )


def test_log_probs() -> None:
    top = [[(7, -0.1), (9, -2.0)], [(8, -0.2), (7, -3.0)]]
    made = delta(log_probs=[-0.1, -0.2], cum_log_prob=-0.3, top_log_probs=top)
    chunk = chunk_of(made, {7: b"a", 8: "é".encode(), 9: b"\xc3"})
    assert chunk["log_probs"] == [-0.1, -0.2] and chunk["cum_log_probs"] == -0.3
    assert chunk["top_logprobs"][0] == [
        {"rank": 1, "token_id": 7, "token": "a", "logprob": -0.1, "bytes": [97]},
        {"rank": 2, "token_id": 9, "token": "\ufffd", "logprob": -2.0, "bytes": [0xC3]},
    ]
    assert [each["token"] for each in chunk["top_logprobs"][1]] == ["é", "a"]


ERRORS: list[tuple[Gemma4Error, str, str]] = [
    (InvalidRequestError("top_p: 3", code=Code.OUT_OF_RANGE), "InvalidArgument", "InvalidArgument"),
    (CancelledError("cancelled"), "Cancelled", "Cancelled"),
    (DeadlineExceededError("late"), "408", "408"),
    (
        UnavailableError("full", refused=True, code=Code.QUEUE_FULL),
        "Disconnected",
        "EngineShutdown",
    ),
    (
        UnavailableError("going", refused=True, code=Code.DRAINING),
        "EngineShutdown",
        "EngineShutdown",
    ),
    (UnavailableError("connection lost"), "Disconnected", "EngineShutdown"),
    (UnavailableError("died", process="engine_0"), "Disconnected", "EngineShutdown"),
    (ServerError("lost", code=Code.ENGINE_LOST), "Disconnected", "EngineShutdown"),
    (ServerError("failed", code=Code.ENGINE_FAILED), "Unknown", "Unknown"),
    (ServerError("not kept", code=Code.GUIDE_NOT_KEPT), "Unknown", "Unknown"),
]
"""With a server that is ready, and without."""


@pytest.mark.parametrize(("error", "ready", "none"), ERRORS)
def test_errors(error: Gemma4Error, ready: str, none: str) -> None:
    for any_ready, name in ((True, ready), (False, none)):
        failure = failure_of(error, any_ready=any_ready)
        assert (failure.kind or str(failure.status), failure.message) == (name, str(error))
    assert never_begun(error) == (isinstance(error, UnavailableError) and error.refused)


def test_a_worker_that_stops_gives_its_answers_away() -> None:
    assert stopping().kind == "EngineShutdown"


def test_load() -> None:
    load = Load(Capacity(slots=2, kv_blocks=8))
    first, _, _ = (load.enter(prompt_tokens=n) for n in (BLOCK_TOKENS, 5, 7))
    load.add(first, delta(prompt_tokens=BLOCK_TOKENS, completion_tokens=1))
    sample = load.sample()
    assert (sample.decode, sample.decode_tokens, sample.decode_blocks) == (1, BLOCK_TOKENS + 1, 2)
    assert (sample.prefill, sample.prefill_tokens) == (1, 5)
    assert (sample.waiting, sample.waiting_tokens) == (1, 7)
    assert sample.used_blocks == 3
    load.leave(first)
    assert (load.sample().prefill, load.sample().waiting) == (2, 0)


@given(st.lists(st.tuples(st.integers(1, 99), st.booleans()), max_size=20), st.integers(1, 8))
def test_every_request_is_counted_once(requests: list[tuple[int, bool]], slots: int) -> None:
    load = Load(Capacity(slots=slots, kv_blocks=None))
    for prompt, begun in requests:
        running = load.enter(prompt_tokens=prompt)
        if begun:
            load.add(running, delta(prompt_tokens=prompt, completion_tokens=1))
    sample = load.sample()
    assert sample.decode + sample.prefill + sample.waiting == len(requests)
    assert sample.waiting == 0 or sample.decode + sample.prefill >= slots
    assert sample.decode == sum(begun for _, begun in requests)


def test_steps_by_hand() -> None:
    """Two streams, a token each in 0.1 s; then one of them alone, 0.3 s for a token."""
    now = 0.0
    load = Load(Capacity(slots=4, kv_blocks=None), lambda: now)
    one, two = load.enter(prompt_tokens=10), load.enter(prompt_tokens=30)
    for running, prompt in ((one, 10), (two, 30)):
        load.add(running, delta(prompt_tokens=prompt, completion_tokens=1))
    for count in range(2, 12):
        now += 0.1
        load.add(one, delta(prompt_tokens=10, completion_tokens=count))
        load.add(two, delta(prompt_tokens=30, completion_tokens=count))
    step = load.sample().step
    assert step.seconds == pytest.approx(0.1)
    assert step.prefill_tokens == 4, "40 tokens of prompts in 10 steps"
    load.leave(two)
    now += 0.3
    load.add(one, delta(prompt_tokens=10, completion_tokens=12))
    step = load.sample().step
    assert step.seconds == pytest.approx(0.3) and step.prefill_tokens == 0
    load.leave(one)
    now += 5
    assert load.sample().step == Step(0.0, 0), "nobody waits"


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(0.01, 2), st.integers(1, 5)), min_size=1, max_size=40
    )
)
def test_a_step_is_between_the_shortest_and_the_longest_wait(
    moves: list[tuple[int, float, int]],
) -> None:
    """One stream at a time: whatever is sampled when, its mean is that of its tokens."""
    now, tokens, waited = 0.0, 0, 0.0
    load = Load(Capacity(slots=4, kv_blocks=None), lambda: now)
    running = load.enter(prompt_tokens=1)
    load.add(running, delta(prompt_tokens=1, completion_tokens=1))
    count = 1
    for sampled, wait, new in moves:
        now += wait
        waited += wait
        count += new
        tokens += new
        load.add(running, delta(prompt_tokens=1, completion_tokens=count))
        if sampled == 0:
            assert load.sample().step.seconds == pytest.approx(waited / tokens)
            tokens, waited = 0, 0.0
