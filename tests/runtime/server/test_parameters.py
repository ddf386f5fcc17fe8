"""A parameter of a Triton request is obeyed, changes nothing, or is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.errors import RequestError
from gemma4_runtime.server.parameters import _MEANT, _NVIDIAS, check_parameters, with_timeout
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("parameters", "timeout"),
    [
        ({}, 0),
        ({"id": "a", "gemma4_key": "0", "gemma4_feed": "x/1"}, 0),
        ({"priority": 0, "sequence_id": 0, "sequence_start": False, "sequence_end": False}, 0),
        ({"triton_enable_empty_final_response": True, "binary_data_output": True}, 0),
        ({"timeout": 1500}, 1500),
        ({"early_stopping": True, "top_p_min": 0.0, "runtime_top_p_decay": 1}, 0),
    ],
)
def test_taken(parameters: dict[str, Any], timeout: int) -> None:
    assert check_parameters(parameters) == timeout


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"max_new_tokens": 3}, r"^max_new_tokens: no such input; did you mean max_tokens\?"),
        ({"stop": "x"}, r"^stop: no such input; did you mean stop_words\?"),
        ({"request_output_len": 3}, r"^request_output_len: .* did you mean max_tokens\?"),
        ({"runtime_top_p_min": 0.5}, r"^runtime_top_p_min: 0.5: top_p does not change"),
        ({"early_stopping": 2}, r"^early_stopping: 2: beam search is not offered"),
        ({"temprature": 0.5}, r"^temprature: no such input; did you mean temperature\?"),
        ({"foo": 1}, "^foo: no such input; the inputs are text_input, prompt_token_ids, "),
        ({"max_tokens": 3}, "^max_tokens: is an input; send it as a tensor"),
        ({"priority": 1}, "^priority: 1: requests are served in the order"),
        ({"sequence_id": 4}, "^sequence_id: 4: requests stand alone"),
        ({"timeout": -1}, "^timeout: -1 must be a whole number of microseconds"),
        ({"timeout": "1"}, "^timeout: '1' must be a whole number"),
        ({"timeout": True}, "^timeout: True must be a whole number"),
        ({"x" * 10**6: 1}, "^x{64}: no such input; "),
    ],
)
def test_refused(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        check_parameters(parameters)


NAMES = [
    "binary_data_output",
    "priority",
    "sequence_end",
    "sequence_id",
    "sequence_start",
    "timeout",
]


@given(
    st.sampled_from(NAMES) | st.text(),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2000),
)
def test_any_parameter_is_taken_or_refused(name: str, value: Any) -> None:
    try:
        check_parameters({name: value})
    except RequestError as error:
        assert len(str(error)) < 2000


def test_no_input_has_the_name_of_a_parameter() -> None:
    assert not {"id", "priority", "timeout", "sequence_id"} & INPUT.keys()


def test_the_shorter_timeout_stays() -> None:
    assert with_timeout({}, 0) == {}
    assert with_timeout({}, 1) == {"timeout_ms": 1}
    assert with_timeout({}, 2_500_000) == {"timeout_ms": 2500}
    assert with_timeout({"timeout_ms": 100}, 2_500_000) == {"timeout_ms": 100}
    assert with_timeout({"timeout_ms": 9000}, 2_500_000) == {"timeout_ms": 2500}


def test_what_else_is_meant_is_an_input() -> None:
    assert set(_MEANT.values()) <= INPUT.keys()
    assert not (_MEANT.keys() | _NVIDIAS.keys()) & INPUT.keys()
