"""What a client may say to the engine step, and what it hears when something breaks."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.errors import Code, RequestError, Status, invalid
from gemma4_runtime.server import guard
from gemma4_runtime.server.call import (
    MAX_ID_BYTES,
    engine_call,
    feed_place,
    id_of,
    parameters_of,
    poll_text,
)
from gemma4_runtime.server.guard import attempt, relayed, told
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray

NAMES = ["request", "feed", *(spec.name for spec in INPUTS)]


def test_every_pair_of_inputs_is_one_call_or_an_error() -> None:
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


class Request:
    """As Triton's: text that is not UTF-8 raises when it is read."""

    def __init__(self, *, id: bytes = b"", parameters: bytes = b"", timeout: int = 0) -> None:
        self._id, self._parameters, self._timeout = id, parameters, timeout

    def request_id(self) -> str:
        return self._id.decode()

    def parameters(self) -> str:
        return self._parameters.decode()

    def timeout(self) -> int:
        return self._timeout


@given(data=st.binary() | st.text().map(str.encode))
def test_parameters_and_ids_are_read_or_refused(data: bytes) -> None:
    for read, kind in ((parameters_of, dict), (id_of, str)):
        try:
            assert isinstance(read(Request(id=data, parameters=data)), kind)
        except RequestError as error:
            assert error.status is Status.INVALID_ARGUMENT


def test_parameters() -> None:
    for empty in (b"", b"{}", b"[1]"):
        assert parameters_of(Request(parameters=empty)) == {}
    assert parameters_of(Request(parameters=b'{"a": 1}')) == {"a": 1}
    assert parameters_of(Request(timeout=5)) == {"timeout": 5}
    for bad in (b"[" * 200_000, b'{"\xff": 1}', b"{"):
        with pytest.raises(RequestError, match="parameters: cannot be read"):
            parameters_of(Request(parameters=bad))


@pytest.mark.parametrize("value", [1, True, None, [], {}])
def test_a_feed_is_named_by_text(value: Any) -> None:
    assert feed_place({}) == ""
    assert feed_place({"gemma4_feed": "a/1"}) == "a/1"
    with pytest.raises(RequestError, match=r"gemma4_feed: .* must be a string"):
        feed_place({"gemma4_feed": value})


@pytest.mark.parametrize("value", [np.array([], object), np.array([[b"a", b"b"]], object), np.array([[b"\xff"]], object)])  # fmt: skip
def test_a_poll_is_one_text(value: ndarray[Any, Any]) -> None:
    assert poll_text(np.array([[b"a/1"]], object)) == "a/1"
    with pytest.raises(RequestError, match=r"^feed: "):
        poll_text(value)


def test_ids_have_a_bound() -> None:
    longest = "é" * (MAX_ID_BYTES // 2)
    assert id_of(Request(id=longest.encode())) == longest
    for long in ("x" * (MAX_ID_BYTES + 1), longest + "x"):
        with pytest.raises(RequestError, match=f"id: {len(long.encode())} bytes"):
            id_of(Request(id=long.encode()))
    with pytest.raises(RequestError, match="id: must be UTF-8"):
        id_of(Request(id=b"\xff"))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines = []
    monkeypatch.setattr(guard, "log_event", lambda event, **fields: lines.append((event, fields)))
    return lines


def test_only_the_log_hears_what_broke(log: list[tuple[str, dict[str, Any]]]) -> None:
    expected = invalid(Code.INVALID_VALUE, "a", "b")
    assert told(expected, "engine") is expected
    try:
        json.loads("/secret/path")
    except ValueError as error:
        heard = told(error, "engine")
    assert heard.code == Code.SERVER_FAILED
    assert heard.message == "the engine step failed; the server's log says why"
    ((event, fields),) = log
    assert (event, fields["step"], fields["level"]) == ("step_failed", "engine", "error")
    assert "JSONDecodeError" in fields["error"] and ".py:" in fields["where"]


def test_an_error_that_cannot_be_sent_stays_inside(log: list[tuple[str, dict[str, Any]]]) -> None:
    attempt(lambda: 1 / 0, "engine")
    ((_, fields),) = log
    assert "ZeroDivisionError" in fields["error"]


def test_tritons_words_lose_their_places() -> None:
    text = "Failed to process: UnicodeDecodeError: x\n\nAt:\n  /opt/m/1/model.py(35): _key\n"
    heard = relayed(text)
    assert (heard.code, heard.message) == (
        Code.TRITON_FAILED,
        "Failed to process: UnicodeDecodeError: x",
    )
    wire = invalid(Code.INVALID_VALUE, "a", "b\n\nAt:\nc").to_wire()
    heard = relayed(f"in ensemble 'gemma4', {wire}")
    assert (heard.code, heard.message) == (Code.INVALID_VALUE, "a: b\n\nAt:\nc")
    wire = RequestError(Code.ENGINE_FAILED, "b\n\nAt:\nc").to_wire()
    assert relayed(wire).message == "b"


@given(message=st.text(max_size=50) | st.just("x" * 10**5))
def test_every_message_can_be_sent(message: str) -> None:
    wire = RequestError(Code.SERVER_FAILED, message + "\ud800\0\x1b[31m").to_wire()
    assert len(wire.encode()) < 20_000
    assert not set(wire) & {"\0", "\x1b", "\ud800"}
