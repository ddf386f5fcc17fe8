"""Options, guides and the parsed answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_client import Answer, Options, ResponseFormatError
from gemma4_client.guides import GUIDES, guide_inputs, parse_answer
from gemma4_client.request import chat_request, text_request
from gemma4_client.wire import INPUT_TYPES
from gemma4_runtime.contract.nvidia import NVIDIA_INPUTS
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of
from pydantic import BaseModel


class City(BaseModel):
    name: str
    people: int


def test_options_are_the_inputs_and_the_guides() -> None:
    prompts = {"messages", "tools", "text_input", "prompt_token_ids"}
    others = prompts | {tensor.name for tensor in NVIDIA_INPUTS}
    assert set(Options.__annotations__) == (set(INPUT_TYPES) - others) | set(GUIDES)


def test_requests() -> None:
    request = chat_request("hi", {"max_tokens": 3, "top_k": None, "stop_words": []}, timeout=2)
    assert request.inputs == {
        "stream": True,
        "messages": '[{"role": "user", "content": "hi"}]',
        "max_tokens": 3,
    }
    assert request.request_id and request.timeout == 2 and request.streamed
    other = text_request("raw", {"stream": False}, request_id="r")
    assert (other.inputs, other.request_id) == ({"stream": False, "text_input": "raw"}, "r")
    tools = chat_request([{"role": "user", "content": "é"}], {}, tools=[{"type": "function"}])
    assert tools.inputs["tools"] == '[{"type": "function"}]'
    assert "é" in tools.inputs["messages"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temprature": 1}, "temprature: no such option; did you mean temperature"),
        ({"zzz": 1}, "zzz: no such option; there are"),
        ({"temperature": "hot"}, "temperature='hot' is no FP32"),
        ({"temperature": 1e300}, "temperature=1e\\+300 is no FP32"),
        ({"max_tokens": 2**40}, "max_tokens=1099511627776 is no INT32"),
        ({"random_seed": -1}, "random_seed=-1 is no UINT64"),
        ({"stop_words": [1]}, "stop_words=1 must be a string"),
        ({"stop_words": "\ud800"}, "stop_words is not valid Unicode"),
        ({"response_model": 3}, "response_model=3 is no pydantic model class"),
        ({"json_schema": "{}"}, "json_schema='{}' must be a dict"),
        ({"regex": 3}, "regex=3 must be a string"),
        ({"regex": "a", "grammar": "b"}, "regex and grammar are both given"),
        ({"regex": "a", "guided_decoding_guide_type": "json"}, "are both given"),
        ({"response_model": City, "json_object": True}, "are both given"),
    ],
)
def test_wrong_options(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        chat_request("hi", options)


def test_messages_that_are_no_json() -> None:
    with pytest.raises(ValueError, match="messages cannot be written as JSON"):
        chat_request([{"role": "user", "content": b"x"}], {})
    with pytest.raises(ValueError, match="tools cannot be written as JSON"):
        chat_request("x", {}, tools=[{"a": object()}])


@pytest.mark.parametrize(
    ("options", "kind", "guide"),
    [
        ({"json_object": True}, "json", None),
        ({"regex": "a+"}, "regex", "a+"),
        ({"grammar": "root ::= x"}, "grammar", "root ::= x"),
        ({"json_schema": {"type": "object"}}, "json_schema", '{"type": "object"}'),
    ],
)
def test_guides(options: dict[str, Any], kind: str, guide: str | None) -> None:
    inputs = guide_inputs(options)
    assert inputs.pop("guided_decoding_guide_type") == kind
    assert inputs.pop("guided_decoding_guide", None) == guide
    assert not inputs


def test_no_guide() -> None:
    assert guide_inputs({"json_object": False, "regex": None, "top_k": 1}) == {"top_k": 1}


def test_a_model_is_a_schema_and_back() -> None:
    inputs = guide_inputs({"response_model": City})
    assert json.loads(inputs["guided_decoding_guide"])["required"] == ["name", "people"]
    assert parse_answer(Answer(text='{"name": "Paris", "people": 2}'), City).people == 2
    cut = Answer(text='{"name": "Par', finish_reason="length")
    with pytest.raises(ResponseFormatError, match=r"no City \(max_tokens cut it off\)") as caught:
        parse_answer(cut, City)
    assert caught.value.answer is cut


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parsed(kind: str, protocol: str) -> None:
    good = Script([chunk(0, "stop", '{"name": "Paris", "people": 2}')])
    bad = Script([chunk(0, "length", '{"name"')])
    with server_of(protocol, good, bad) as (url, _), client_of(kind, url) as client:
        answer = client.chat("hi", response_model=City).result()
        assert answer.parsed == City(name="Paris", people=2)
        with pytest.raises(ResponseFormatError, match="max_tokens"):
            client.chat("hi", response_model=City).result()


def test_an_answer_is_the_next_message() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert Answer(text="x").as_message() == {"role": "assistant", "content": "x"}
    assert Answer(tool_calls=[call]).as_message()["tool_calls"] == [call]
