"""Errors of a back end, in the form of OpenAI's API."""

from __future__ import annotations

import io
import json

import pytest
from gemma4_client import (
    AccessDeniedError,
    CancelledError,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client.errors import ClientCode, Code, from_wire
from gemma4_gateway.access_log import Log
from gemma4_gateway.errors import ApiError
from gemma4_gateway.record import Record
from gemma4_gateway.translate.failures import (
    engine_refusal,
    failure,
    lost,
    none_took,
    started_failure,
)
from gemma4_runtime.errors import RequestError, invalid, overloaded


def form(error: ApiError) -> tuple[int, str, str | None]:
    return error.status, error.kind, error.code


TOO_LONG = invalid(Code.PROMPT_TOO_LONG, "messages", "9 tokens; at most 5", tokens=9, limit=5)
BAD = invalid(Code.OUT_OF_RANGE, "stop_words[0]", "the engine takes prompts of at most 5 tokens")


def received(error: RequestError) -> Gemma4Error:
    return from_wire("in ensemble 'gemma4', " + error.to_wire())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (received(TOO_LONG), (400, "invalid_request_error", "context_length_exceeded")),
        (received(BAD), (400, "invalid_request_error", None)),
        (DeadlineExceededError("late"), (504, "timeout_error", "timeout")),
        (CancelledError("gone"), (499, "server_error", "cancelled")),
        (UnavailableError("gone"), (503, "server_error", "backend_lost")),
        (ServerError("broken"), (500, "server_error", "engine_error")),
        (StreamOrderError("a gap"), (500, "server_error", "engine_error")),
        (AccessDeniedError("who"), (500, "server_error", "engine_error")),
    ],
)
def test_each_error_has_its_form(error, expected) -> None:
    assert form(failure(error, {})) == expected
    assert failure(error, {}).cause == error.code


@pytest.mark.parametrize("code", list(Code))
def test_each_code_has_a_form(code) -> None:
    error = received(RequestError(code, "x", field="x"))
    status, kind, name = form(failure(error, {}))
    assert (status < 500) == (kind == "invalid_request_error" or name == "cancelled")
    assert (name == "context_length_exceeded") == (code is Code.PROMPT_TOO_LONG)


def test_a_message_that_sounds_like_another_error_is_no_other_error() -> None:
    error = failure(received(BAD), {})
    assert (error.code, error.param) == (None, "stop[0]")
    assert error.message == "stop[0]: the engine takes prompts of at most 5 tokens"


@pytest.mark.parametrize("field", ["messages[0].: x", "messages[0].a b", "x: y", "", "]", "[0]"])
def test_any_field_is_a_parameter(field) -> None:
    """A message may have any field."""
    error = failure(received(invalid(Code.UNKNOWN_INPUT, field, "is not a field")), {})
    assert (error.param, error.message) == (field, f"{field}: is not a field")


def test_a_refusal_after_the_first_token_is_not_the_fault_of_the_client() -> None:
    assert form(started_failure(InvalidRequestError("token_ids: 9"))) == (
        500,
        "server_error",
        "engine_error",
    )


def test_refused_by_all_and_lost() -> None:
    full = none_took(UnavailableError("3 run", refused=True, code=Code.QUEUE_FULL))
    assert form(full) == (429, "rate_limit_error", "overloaded")
    assert full.headers() == {"retry-after": "1"}
    draining = none_took(UnavailableError("draining", refused=True, code=Code.DRAINING))
    assert form(draining) == (503, "server_error", "unavailable")
    assert (draining.cause, draining.headers()) == ("draining", {"retry-after": "1"})
    dead = lost(UnavailableError("Stub", process="x", code=ClientCode.PROCESS_LOST))
    assert form(dead) == (503, "server_error", "backend_lost")
    sounds_full = UnavailableError("which is all this server takes", refused=True)
    assert form(none_took(sounds_full)) == (503, "server_error", "unavailable")
    assert received(overloaded("3 run", slots=2, max_queued=1)).overloaded


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_refusal(InvalidRequestError("x: y", code=Code.WRONG_TYPE, field="x"), {}), "wrong_type"),
        (ApiError(429, "full", code="gateway_full"), "gateway_full"),
        (ApiError(400, "bad"), None),
    ],
)  # fmt: skip
def test_the_log_has_the_code(error, code) -> None:
    out = io.StringIO()
    record = Record("req_1", "POST", "/v1/chat/completions", status=error.status)
    record.failed(error)
    log = Log("json", out)
    log.request(record)
    log.close()
    line = json.loads(out.getvalue())
    assert (line["code"], line["error"]) == (code, error.message)
