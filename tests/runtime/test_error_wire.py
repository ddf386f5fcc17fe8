"""How an error travels in the one text that Triton gives a client."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from gemma4_runtime.errors import (
    UNKNOWN_CODE,
    Code,
    RequestError,
    Status,
    invalid,
    overloaded,
    parse_wire,
)
from hypothesis import given
from hypothesis import strategies as st

OLD_CLIENT = re.compile(
    r"(?:^|[\s,])(" + "|".join(s.value for s in Status) + r"): (.*)\Z", re.DOTALL
)
"""What clients of version 0.1 read: they know no codes."""

hostile = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "] ",
            '"',
            "\\",
            '\\"',
            " ",
            "=",
            ": ",
            "\n",
            "in ensemble 'gemma4', ",
            "limit=5",
        ]
        + [f"{status.value}: " for status in Status]
        + [f"[{code.value}] " for code in list(Code)[::7]]
        + ["[queue_full slots=1] ", '[x field="y"] ', "龙", "\ud800", "\0", "x" * 50]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)
printable = hostile.map(lambda text: re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", text))
codes = st.sampled_from(list(Code))
details = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(lambda name: name != "field"),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile,
    max_size=4,
)
prefixes = st.sampled_from(["", "in ensemble 'gemma4', ", "in ensemble 'a', in ensemble 'b', "])


def parsed(text: str) -> RequestError:
    error = parse_wire(text)
    assert error is not None
    return error


@given(code=codes, message=printable, field=st.none() | hostile, details=details, prefix=prefixes)
def test_everything_arrives(code: Any, message: str, field: Any, details: Any, prefix: Any) -> None:
    sent = RequestError(code, message, field=field, details=details)
    back = parsed(prefix + sent.to_wire())
    assert (back.status, back.code, back.message) == (code.status, code, message)
    assert (back.field, back.details) == (field and field[:256], details)


@given(code=codes, message=hostile, field=st.none() | hostile, details=details, prefix=prefixes)
def test_no_text_of_a_request_forges_status_code_or_details(
    code: Any, message: str, field: Any, details: Any, prefix: Any
) -> None:
    """Nor does what is too long or cannot be encoded."""
    sent = RequestError(code, message * 100, field=field, details=details)
    wire = sent.to_wire()
    assert not set(wire) & {"\0", "\x1b", "\ud800"} and len(wire.encode()) < 40_000
    back = parsed(prefix + wire)
    assert (back.status, back.code) == (code.status, code)
    assert (back.field, back.details.keys()) == (field and field[:256], details.keys())
    assert back.to_wire() == wire


@given(text=hostile)
def test_words_of_another_software_are_never_ours(text: str) -> None:
    """Triton puts the id of a request, which the client chooses, before some of its words."""
    assert parse_wire(f"[request id: {text}] Exceeds maximum queue size") is None
    assert parse_wire(f"unexpected inference input '{text}' for model 'gemma4'") is None


@given(code=codes, message=printable, prefix=prefixes)
def test_a_client_that_knows_no_codes_has_status_and_message(
    code: Any, message: str, prefix: Any
) -> None:
    found = OLD_CLIENT.search(prefix + RequestError(code, message).to_wire())
    assert found is not None
    assert found[1] == code.status and found[2].endswith(message)


def test_it_can_be_read_by_a_person() -> None:
    error = invalid(Code.PROMPT_TOO_LONG, "text_input", "9 tokens; at most 5", tokens=9, limit=5)
    assert error.to_wire() == (
        'INVALID_ARGUMENT: [prompt_too_long field="text_input" tokens=9 limit=5] '
        "text_input: 9 tokens; at most 5"
    )
    assert (
        overloaded("3 run", slots=2, max_queued=1)
        .to_wire()
        .startswith("UNAVAILABLE: [queue_full slots=2 max_queued=1] 3 run")
    )


@pytest.mark.parametrize("status", list(Status))
def test_an_older_server_sends_no_code(status: Any) -> None:
    back = parsed(f"in ensemble 'gemma4', {status.value}: a: b, INTERNAL: c\nd")
    assert (back.status, back.code, back.message) == (status, UNKNOWN_CODE, "a: b, INTERNAL: c\nd")
    assert (back.field, back.details) == (None, {})


def test_a_newer_server_may_send_a_code_that_is_not_known_here() -> None:
    back = parsed('UNAVAILABLE: [moon_in_the_way phase="full" height=1.5e-07] wait')
    assert (back.status, back.code, back.message) == (
        Status.UNAVAILABLE,
        "moon_in_the_way",
        "wait",
    )
    assert back.details == {"phase": "full", "height": 1.5e-07}


@pytest.mark.parametrize(
    "head", ["[", "[a", "[a b=]", '[a b="]', "[A] ", "[a b=x] ", "[a b=1 c] ", "[]", '[a b="x" "] ']
)
def test_a_bracket_of_another_form_is_a_part_of_the_message(head: str) -> None:
    back = parsed(f"INTERNAL: {head}x")
    assert (back.code, back.message) == (UNKNOWN_CODE, f"{head}x")


@pytest.mark.parametrize("part", [' a="\\', ' a="', " a=1", "\\", '"', " ", "[a "])
def test_reading_takes_no_longer_than_the_text(part: str) -> None:
    started = time.process_time()
    parse_wire("INTERNAL: [a" + part * 200_000)
    assert time.process_time() - started < 2
