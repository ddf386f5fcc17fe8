"""Parameters -> the engine's inputs."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from gemma4_client import InvalidRequestError
from gemma4_client.wire import build_request
from gemma4_gateway.answers.forced_calls import listed_calls
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.schemas.tools import Tool
from gemma4_gateway.translate.chat import plan_chat
from gemma4_gateway.translate.completions import plan_completion
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.guides import required_tools_schema
from gemma4_gateway.translate.request_plan import EngineCall, Plan
from gemma4_gateway.translate.responses import plan_responses
from gemma4_runtime.input.tools import parse_tools
from gemma4_runtime.limits import Limits
from llguidance import LLMatcher

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
USER = {"role": "user", "content": "Hi"}


def plan(**more: Any) -> Plan:
    body = {"model": "m", "messages": [USER], **more}
    return plan_chat(ChatCompletionRequest.model_validate(body))


def options(**more: Any) -> dict[str, Any]:
    return plan(**more).calls[0].options


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"top_k": -1}, {"top_k": 0}),
        ({"stop": "x"}, {"stop_words": ["x"]}),
        ({"stop": []}, {}),
        ({"stop_token_ids": [5, 9]}, {"stop_token_ids": [5, 9]}),
        ({"stop_token_ids": []}, {}),
        ({"logit_bias": {"5": -100, "9": 1.5}}, {"logit_bias": '{"5":-100.0,"9":1.5}'}),
        ({"logit_bias": {}}, {}),
        ({"include_stop_str_in_output": True}, {"include_stop_str_in_output": True}),
        ({"seed": -1}, {"random_seed": 2**64 - 1}),
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "ignore_eos": True}, {"max_tokens": 5, "min_tokens": 5}),
        ({"logprobs": True}, {"return_log_probs": True}),
        ({"logprobs": False}, {}),
        ({"logprobs": True, "top_logprobs": 0}, {"return_log_probs": True}),
        (
            {"logprobs": True, "top_logprobs": 20},
            {"return_log_probs": True, "top_logprobs": 20},
        ),
        ({"reasoning_effort": "none"}, {}),
        ({"reasoning_effort": "low"}, {"enable_thinking": True}),
        ({"chat_template_kwargs": {"enable_thinking": True}}, {"enable_thinking": True}),
        ({"bad_words": ["x"], "min_p": 0.1}, {"bad_words": ["x"], "min_p": 0.1}),
        ({"bad_words": []}, {}),
        (
            {"structured_outputs": {"choice": ["a.b", "c"]}},
            {"guided_decoding_guide_type": "regex", "guided_decoding_guide": r"a\.b|c"},
        ),
        ({"response_format": {"type": "json_object"}}, {"guided_decoding_guide_type": "json"}),
        ({"response_format": {"type": "text"}}, {}),
    ],
)
def test_options(given: dict[str, Any], expected: dict[str, Any]) -> None:
    found = options(**given)
    assert found == expected
    build_request(found)


def test_seeds_of_choices() -> None:
    calls = plan(seed=2**63 - 1, n=3).calls
    assert [c.options["random_seed"] - 2**63 for c in calls] == [-1, 0, 1]


def test_affinity_is_that_of_the_head() -> None:
    system = {"role": "system", "content": "s"}
    first = plan(messages=[system, USER]).affinity
    more = [system, USER, {"role": "assistant", "content": "a"}, USER]
    assert plan(messages=more).affinity == first != plan().affinity
    assert plan(prompt_cache_key="k").affinity == plan(messages=more, prompt_cache_key="k").affinity


def test_messages_come_back_as_clients_keep_them() -> None:
    call: dict[str, Any] = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    parsed = call | {"index": 0, "function": call["function"] | {"parsed_arguments": {}}}
    kept = {
        "role": "assistant", "content": None, "tool_calls": [parsed], "refusal": None,
        "annotations": [], "audio": None, "function_call": None, "reasoning": "hm", "parsed": None,
    }  # fmt: skip
    result = {"role": "tool", "tool_call_id": "c", "content": "1", "name": "f"}
    sent = plan(messages=[USER, kept, result]).calls[0].messages
    assert sent is not None
    assert sent[1] == {
        "role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm",
    }  # fmt: skip
    assert sent[2] == result


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


CITY = tool(
    "weather",
    type="object",
    properties={"city": {"$ref": "#/$defs/City"}, "self": {"$ref": "#"}},
    required=["city"],
    **{"$defs": {"City": {"enum": ["Rome", "Oslo"]}}},
)
BARE = {"type": "function", "function": {"name": "stop"}}
NAMED = {"type": "function", "function": {"name": "stop"}}


@pytest.mark.parametrize(
    ("output", "fits"),
    [
        ([{"name": "weather", "arguments": {"city": "Rome"}}], True),
        ([{"name": "weather", "arguments": {"city": "Rome", "self": {"city": "Oslo"}}}], True),
        ([{"name": "stop", "arguments": {}}], True),
        ([{"name": "stop", "arguments": {}}, {"name": "weather", "arguments": {"city": "Oslo"}}], True),
        ([{"name": "weather", "arguments": {"city": "Paris"}}], False),
        ([{"name": "weather", "arguments": {}}], False),
        ([{"name": "weather", "arguments": {"city": "Rome", "x": 1}}], False),
        ([{"name": "stop", "arguments": {"x": 1}}], False),
        ([{"name": "other", "arguments": {}}], False),
        ([], False),
    ],
)  # fmt: skip
def test_the_schema_of_required_calls(output: list[dict[str, Any]], fits: bool) -> None:
    tools = [Tool.model_validate(t) for t in (CITY, BARE)]
    schema = json.loads(required_tools_schema(tools, one=False))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(output) == fits
    one = json.loads(required_tools_schema(tools, one=True))
    assert jsonschema.Draft202012Validator(one).is_valid(output) == (fits and len(output) == 1)
    assert not LLMatcher.validate_grammar("%llguidance {}\nstart: %json " + json.dumps(schema))


RESPONSE = {"type": "object", "properties": {"degrees": {"type": "number"}}}
DECLARED = {"name": "f", "parameters": {"type": "object"}, "response": RESPONSE}


@pytest.mark.parametrize(
    "calls",
    [
        plan(tools=[{"type": "function", "function": DECLARED}]).calls,
        plan_responses(
            ResponsesRequest.model_validate(
                {"model": "m", "input": "Hi", "tools": [{"type": "function", **DECLARED}]}
            )
        ).plan.calls,
    ],
    ids=["chat", "responses"],
)
def test_what_a_tool_answers_reaches_the_template(calls: list[EngineCall]) -> None:
    """The second test template shows it, as the published one does; see test_tools.py."""
    tools = calls[0].tools
    assert tools is not None
    (tool,) = tools
    assert tool["function"] == DECLARED
    (parsed,) = parse_tools(json.dumps(calls[0].tools), LIMITS, lambda text, field: text)
    assert parsed["function"]["response"]["properties"]["degrees"]["type"] == "number"


def test_tool_modes() -> None:
    both = {"tools": [CITY, BARE]}
    assert plan(**both).tool_mode == "native"
    none = plan(**both, tool_choice="none")
    assert (none.tool_mode, none.calls[0].tools) == ("none", None)
    named = plan(**both, tool_choice={"type": "function", "function": {"name": "weather"}})
    assert (named.tool_mode, named.tool_name) == ("named", "weather")
    schema = json.loads(named.calls[0].options["guided_decoding_guide"])
    assert schema["additionalProperties"] is False
    assert plan(tools=[], tool_choice="auto").tool_mode == "none"
    strict = {"type": "function", "function": {"name": "f", "strict": True}}
    assert plan(tools=[strict]).calls[0].tools == [{"type": "function", "function": {"name": "f"}}]


FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
TYPE = {"guided_decoding_guide_type": "json_schema"}


@pytest.mark.parametrize(
    ("more", "mode", "expected"),
    [
        ({}, "native", TYPE),
        ({"tool_choice": "auto", "parallel_tool_calls": True}, "native", TYPE),
        ({"parallel_tool_calls": False}, "native", TYPE | {"parallel_tool_calls": False}),
        ({"reasoning_effort": "low"}, "native", TYPE | {"enable_thinking": True}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, "none", TYPE),
        ({"tool_choice": "required"}, "required", TYPE | {"tool_choice": "none"}),
        (
            {"tool_choice": "required", "reasoning_effort": "low"},
            "required",
            TYPE | {"tool_choice": "none", "enable_thinking": True},
        ),
        ({"tool_choice": NAMED}, "named", TYPE | {"tool_choice": "none"}),
    ],
)
def test_a_form_beside_tools(more: dict[str, Any], mode: str, expected: dict[str, Any]) -> None:
    """The form binds the final message; a forced call leaves it unused."""
    made = plan(tools=[BARE], response_format=FORM, **more)
    options = dict(made.calls[0].options)
    guide = json.loads(options.pop("guided_decoding_guide"))
    assert (made.tool_mode, options) == (mode, expected)
    assert (guide == {"type": "object"}) == (mode in ("native", "none"))
    assert (made.calls[0].tools is None) == (mode == "none")
    build_request(options)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}, "reasoning_effort"),
        ({"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}}, "structured_outputs"),
        ({"stream_options": {}}, "stream_options"),
    ],
)  # fmt: skip
def test_contradictions(more: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan(**more)
    assert caught.value.param == param


def test_completion_choices_are_in_order() -> None:
    body = {"model": "m", "prompt": ["a", "b"], "n": 2, "seed": 5, "echo": True}
    made = plan_completion(CompletionRequest.model_validate(body))
    assert [(c.text, c.options["random_seed"]) for c in made.calls] == [
        ("a", 5), ("a", 6), ("b", 5), ("b", 6),
    ]  # fmt: skip
    assert made.per_prompt == 2
    assert made.calls[0].options["exclude_input_in_output"] is False


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("stop_words[0]: is empty", "stop[0]"),
        (
            "messages[1].tool_calls[0].function.name: None",
            "messages[1].tool_calls[0].function.name",
        ),
        ("max_tokens: 0 must be", "max_completion_tokens"),
        ("guided_decoding_guide: is no schema", "response_format"),
        ("random_seed: x", "seed"),
        ("messages[2].content: x", "input[5].content"),
        ("messages[1].content: x", "messages[1].content"),
        ("something else", None),
    ],
)
def test_the_engines_refusals_name_parameters(message: str, param: str | None) -> None:
    names = {"max_tokens": "max_completion_tokens", "messages[2]": "input[5]"}
    field = None if param is None else message.split(": ", maxsplit=1)[0]
    error = engine_refusal(InvalidRequestError(message, field=field), names)
    assert error.param == param
    text = message.removeprefix(f"{field}: ")
    assert error.message == (text if param is None else f"{param}: {text}")


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('[{"name": "f", "arguments": {"a": [1, {"b": "}"}]}}]', [("f", '{"a": [1, {"b": "}"}]}')]),
        ('[{"name":"f","arguments":{}}, {"name":"g","arguments":{"x":1}}]', [("f", "{}"), ("g", '{"x": 1}')]),
        ('[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"x": "ab', [("f", "{}"), ("g", '{"x": "ab')]),
        ('[{"name": "f", "argu', []),
        ("[", []),
    ],
)  # fmt: skip
def test_listed_calls(text: str, calls: list[tuple[str, str]]) -> None:
    assert [
        (c["function"]["name"], c["function"]["arguments"]) for c in listed_calls(text)
    ] == calls


def test_a_last_message_goes_on() -> None:
    begun = {"messages": [USER, {"role": "assistant", "content": "It is"}]}
    for said in ({}, {"add_generation_prompt": False}, {"add_generation_prompt": None}):
        assert options(**begun, continue_final_message=True, **said) == {
            "continue_final_message": True
        }
    assert options(**begun) == options(**begun, add_generation_prompt=True) == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"add_generation_prompt": False}, "add_generation_prompt: false leaves no turn"),
        (
            {"add_generation_prompt": True, "continue_final_message": True},
            "add_generation_prompt: true asks for a new turn",
        ),
        (
            {"continue_final_message": True, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
            "continue_final_message: tool_choice forces a call",
        ),
    ],
)  # fmt: skip
def test_forms_that_contradict_are_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError, match=says):
        plan(**given)


@pytest.mark.parametrize("include", [{}, {"include_usage": None}, {"include_usage": False}])
def test_continuous_usage_without_usage_has_no_effect(include: dict[str, Any]) -> None:
    asked = {"continuous_usage_stats": True}
    assert plan(stream=True, stream_options=asked | include) == plan(stream=True)
    both = plan(stream=True, stream_options=asked | {"include_usage": True})
    assert both.include_usage and both.continuous_usage


def _tools(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name}} for name in names]


def _allowed(mode: str, *names: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": _tools(*names)}}


def test_allowed_tools_are_the_only_tools() -> None:
    three = _tools("f", "g", "h")
    for mode in ("auto", "required"):
        found = plan(tools=three, tool_choice=_allowed(mode, "h", "g"))
        alone = plan(tools=_tools("g", "h"), tool_choice=mode)
        assert found.calls == alone.calls
        assert found.tool_mode == alone.tool_mode
        assert found.allowed == frozenset(("g", "h"))
    refusal = InvalidRequestError("tools[1].function.name: x", field="tools[1].function.name")
    assert engine_refusal(refusal, found.names).param == "tools[2].function.name"
    with pytest.raises(ApiError, match=r"tools\[1\]: 'x' is not among the tools: f, g, h"):
        plan(tools=three, tool_choice=_allowed("auto", "f", "x"))
    with pytest.raises(ApiError, match="is not among the tools: none"):
        plan(tool_choice=_allowed("auto", "f"))


def test_old_names_of_tools_that_mean_nothing() -> None:
    assert plan(functions=[], function_call="none").calls == plan().calls
