"""What asks for what happens anyway is taken; the rest of it is refused by name and reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from gemma4_gateway.body.route import validated
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.anthropic import MessagesRequest, MessageTool, OutputConfig
from gemma4_gateway.schemas.anthropic_blocks import BLOCKS
from gemma4_gateway.schemas.base import ApiModel, StreamOptions
from gemma4_gateway.schemas.chat import ChatCompletionRequest, ChatMessage
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.schemas.response_tools import CustomTool, ResponseTool
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.schemas.usual import USUAL, is_usual
from gemma4_gateway.translate.chat import plan_chat
from hypothesis import given, settings
from hypothesis import strategies as st

BODIES: dict[type[ApiModel], dict[str, Any]] = {
    ChatCompletionRequest: {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    CompletionRequest: {"model": "m", "prompt": "hi"},
    ResponsesRequest: {"model": "m", "input": "hi"},
    MessagesRequest: {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
    },
}
PARTS: dict[str, dict[str, Any]] = {
    "stream_options": {"stream_options": {}},
    "tools[0]": {"tools": [{"type": "function", "name": "f"}]},
    "output_config": {"output_config": {}},
    "tools[1]": {"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]},
}
"""What a body needs for a part to be there."""
MESSAGE_TOOL = {"tools": [{"name": "f", "input_schema": {}}]}


def places() -> Iterator[tuple[type[ApiModel], type[ApiModel], str]]:
    """Every body, the part of it with refused parameters, and how to name one of these."""
    for body in BODIES:
        yield body, body, "{}"
    yield ChatCompletionRequest, StreamOptions, "stream_options.{}"
    yield CompletionRequest, StreamOptions, "stream_options.{}"
    yield ResponsesRequest, ResponseTool, "tools[0].{}"
    yield ResponsesRequest, CustomTool, "tools[1].{}"
    yield ChatCompletionRequest, ChatMessage, "messages[0].{}"
    yield MessagesRequest, MessageTool, "tools[0].{}"
    yield MessagesRequest, OutputConfig, "output_config.{}"


PARAMETERS = [
    (body, part, path.format(name))
    for body, part, path in places()
    for name in {**part.peers, **part.refused}
    if name not in part.model_fields
]


def part_of(text: dict[str, Any], parent: str) -> dict[str, Any]:
    """Return the object of the body at a path such as ``tools[0]``; "" is the body."""
    inside: Any = text
    for step in re.findall(r"\w+", parent):
        inside = inside[int(step) if step.isdigit() else step]
    assert isinstance(inside, dict)
    return inside


def body_with(body: type[ApiModel], path: str, value: Any) -> dict[str, Any]:
    parent, _, name = path.rpartition(".")
    needed = MESSAGE_TOOL if (body, parent) == (MessagesRequest, "tools[0]") else PARTS.get(parent)
    text = deepcopy(BODIES[body] | (needed or {}))
    part_of(text, parent)[name] = value
    return text


def parsed(body: type[ApiModel], value: dict[str, Any]) -> ApiModel:
    return validated(body, json.dumps(value).encode())


@pytest.mark.parametrize(("body", "part", "path"), PARAMETERS, ids=str)
def test_null_and_usual_values_change_nothing(
    body: type[ApiModel], part: type[ApiModel], path: str
) -> None:
    name = path.rpartition(".")[2]
    for value in (None, *part.usual.get(name, ())):
        with_it = parsed(body, body_with(body, path, value)).model_dump(exclude_unset=True)
        without = body_with(body, path, value)
        del part_of(without, path.rpartition(".")[0])[name]
        assert with_it == parsed(body, without).model_dump(exclude_unset=True)


VALUES = st.recursive(
    st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "none", "low"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("k"), inner, max_size=1),
    max_leaves=3,
)


@given(st.sampled_from(PARAMETERS), VALUES)
@settings(max_examples=400)
def test_others_are_refused_by_path_and_reason(
    parameter: tuple[type[ApiModel], type[ApiModel], str], value: Any
) -> None:
    body, part, path = parameter
    name = path.rpartition(".")[2]
    if is_usual(value, part.usual.get(name, ())):
        return
    with pytest.raises(ApiError) as caught:
        parsed(body, body_with(body, path, value))
    assert (caught.value.status, caught.value.code) == (400, "unsupported_parameter")
    assert caught.value.param == path
    assert caught.value.message.startswith(
        f"{path}: not supported: {(part.peers | part.refused)[name]}"
    )


def test_the_table_names_refused_parameters_only() -> None:
    refused = {name for _, part, _ in places() for name in {**part.peers, **part.refused}}
    refused |= {name for of in BLOCKS.values() for block in of.values() for name in block.refused}
    assert refused >= USUAL.keys()


def test_true_is_no_one() -> None:
    assert is_usual(1.0, (1,)) and not is_usual(True, (1,)) and not is_usual(0, (False,))


def test_equal_limits_of_both_names_are_taken() -> None:
    both = BODIES[ChatCompletionRequest] | {"max_tokens": 5, "max_completion_tokens": 5}
    plan = plan_chat(ChatCompletionRequest.model_validate(both))
    assert plan.calls[0].options["max_tokens"] == 5
    other = ChatCompletionRequest.model_validate(both | {"max_tokens": 6})
    with pytest.raises(ApiError, match="send one of them"):
        plan_chat(other)


@pytest.mark.parametrize("value", [0, 0.0, 1, True, "false", []])
@pytest.mark.parametrize(
    ("body", "path"),
    [
        (ChatCompletionRequest, "store"),
        (CompletionRequest, "store"),
        (ChatCompletionRequest, "stream_options.include_obfuscation"),
        (ResponsesRequest, "stream_options.include_obfuscation"),
    ],
)
def test_what_can_only_be_false_is_no_number(body: type[ApiModel], path: str, value: Any) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(body, body_with(body, path, value))
    assert caught.value.param == path
    parsed(body, body_with(body, path, False))


def test_no_parameter_is_both_taken_and_refused() -> None:
    for _, part, _ in places():
        assert not part.refused.keys() & {f.alias or n for n, f in part.model_fields.items()}
        assert not part.refused.keys() & part.peers.keys()


@pytest.mark.parametrize(("body", "part", "path"), list(places()), ids=str)
def test_null_asks_for_nothing_whatever_its_name(
    body: type[ApiModel], part: type[ApiModel], path: str
) -> None:
    path = path.format("no_such_thing")
    parsed(body, body_with(body, path, None))
    with pytest.raises(ApiError) as caught:
        parsed(body, body_with(body, path, False))
    assert (caught.value.param, caught.value.code) == (path, "unknown_parameter")
