"""What a client may say to the engine step, and what it hears when something breaks."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from gemma4_runtime.errors import RequestError, Status, internal, invalid
from gemma4_runtime.input.tensors import INPUTS
from gemma4_runtime.server.call import (
    MAX_ID_BYTES,
    check_id,
    engine_call,
    feed_place,
    parameters_of,
    poll_text,
)
from gemma4_runtime.server.guard import attempt, relayed, told
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["request", "feed", *(spec.name for spec in INPUTS)]


def test_every_pair_of_inputs_is_one_call_or_an_error():
    assert engine_call([]) == "inputs"
    for pair in combinations(NAMES, 2):
        alone = {"request", "feed"} & set(pair)
        if alone:
            with pytest.raises(RequestError, match="is a call of its own; leave out ") as caught:
                engine_call(pair)
            assert caught.value.field in alone
        else:
            assert engine_call(pair) == "inputs"
    for name in NAMES:
        assert engine_call([name]) == (name if name in ("request", "feed") else "inputs")


@given(text=st.text() | st.binary().map(lambda data: data.decode("latin1")))
def test_parameters_are_an_object_or_refused(text):
    try:
        assert isinstance(parameters_of(text), dict)
    except RequestError as error:
        assert error.status is Status.INVALID_ARGUMENT


def test_parameters():
    assert parameters_of("") == parameters_of("{}") == parameters_of("[1]") == {}
    assert parameters_of('{"a": 1}') == {"a": 1}
    with pytest.raises(RequestError, match="parameters: "):
        parameters_of("[" * 200_000)


@pytest.mark.parametrize("value", [1, True, None, [], {}])
def test_a_feed_is_named_by_text(value):
    assert feed_place({}) == ""
    assert feed_place({"gemma4_feed": "a/1"}) == "a/1"
    with pytest.raises(RequestError, match=r"gemma4_feed: .* must be a string"):
        feed_place({"gemma4_feed": value})


@pytest.mark.parametrize("value", [np.array([], object), np.array([[b"a", b"b"]], object), np.array([[b"\xff"]], object)])  # fmt: skip
def test_a_poll_is_one_text(value):
    assert poll_text(np.array([[b"a/1"]], object)) == "a/1"
    with pytest.raises(RequestError, match=r"^feed: "):
        poll_text(value)


def test_ids_have_a_bound():
    assert check_id("é" * (MAX_ID_BYTES // 2)) == "é" * (MAX_ID_BYTES // 2)
    for long in ("x" * (MAX_ID_BYTES + 1), "é" * (MAX_ID_BYTES // 2 + 1)):
        with pytest.raises(RequestError, match=f"id: {len(long.encode())} bytes"):
            check_id(long)


def test_only_the_log_hears_what_broke(capsys):
    expected = invalid("a", "b")
    assert told(expected, "engine") is expected
    try:
        json.loads("/secret/path")
    except ValueError as error:
        heard = told(error, "engine")
    assert heard.to_wire() == "INTERNAL: the engine step failed; the server's log says why"
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["step"]) == ("step_failed", "engine")
    assert "JSONDecodeError" in line["error"] and ".py:" in line["where"]


def test_an_error_that_cannot_be_sent_stays_inside(capsys):
    attempt(lambda: 1 / 0, "engine")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_tritons_words_lose_their_places():
    text = "Failed to process: UnicodeDecodeError: x\n\nAt:\n  /opt/m/1/model.py(35): _key\n"
    assert relayed(text).message == "Failed to process: UnicodeDecodeError: x"
    wire = "in ensemble 'gemma4', " + invalid("a", "b\n\nAt:\nc").to_wire()
    assert relayed(wire).message == "a: b\n\nAt:\nc"


@given(message=st.text(max_size=50) | st.just("x" * 10**5))
def test_every_message_can_be_sent(message):
    wire = internal(message + "\ud800\0\x1b[31m").to_wire()
    assert len(wire.encode()) < 20_000
    assert not set(wire) & {"\0", "\x1b", "\ud800"}
