"""A gateway that stores responses, and the openai package that relies on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from openai import OpenAI

TOOLS = [{"type": "function", **WEATHER["function"]}, {"type": "web_search"}]
OPTIONS = {"model": MODEL, "temperature": 0}


@pytest.fixture(scope="module")
def storing(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    path: Path = tmp_path_factory.mktemp("store") / "responses.db"
    args = ("--response-store", str(path), "--drop-unsupported")
    gateway = RunningGateway(server.grpc, args=args)
    with OpenAI(base_url=gateway.url + "/v1", api_key="any", max_retries=0) as client:
        yield client
    assert gateway.stop() == 0, gateway.text[-3000:]
    assert "not_stored" not in gateway.text


def test_a_conversation_that_the_gateway_remembers(storing: Any) -> None:
    first = storing.responses.create(input="What is the capital of France?", **OPTIONS)
    second = storing.responses.create(
        input="And of Italy?", previous_response_id=first.id, **OPTIONS
    )
    assert "Rome" in second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens
    again = storing.responses.retrieve(second.id)
    assert again == second and again.previous_response_id == first.id
    items = list(storing.responses.input_items.list(second.id, order="asc", limit=2))
    assert [item.role for item in items] == ["user", "assistant", "user"]
    reference = [{"type": "item_reference", "id": first.output[0].id}]
    more = [{"role": "user", "content": "Hi"}, *reference, {"role": "user", "content": "And?"}]
    assert storing.responses.create(input=more, **OPTIONS).status == "completed"
    counted = storing.responses.input_tokens.count(
        model=MODEL, input="And of Italy?", previous_response_id=first.id
    )
    assert counted.input_tokens == second.usage.input_tokens
    storing.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        storing.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError, match="builds on"):
        storing.responses.create(input="x", previous_response_id=second.id, **OPTIONS)


def test_a_tool_loop_that_sends_only_what_is_new(storing: Any) -> None:
    with storing.responses.stream(
        input="What is the weather in Oslo?", tools=TOOLS, **OPTIONS
    ) as stream:
        first = stream.until_done().get_final_response()
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Oslo"}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21"}
    final = storing.responses.create(
        input=[output], previous_response_id=first.id, tools=TOOLS, **OPTIONS
    )
    assert "sunny" in final.output_text
    assert [tool.type for tool in final.tools] == ["function"]


def test_what_is_not_to_be_stored_is_not(storing: Any) -> None:
    answer = storing.responses.create(input="Hi", store=False, **OPTIONS)
    with pytest.raises(openai.NotFoundError):
        storing.responses.retrieve(answer.id)


def test_a_conversation_made_short(storing: Any) -> None:
    first = storing.responses.create(input="What is the capital of France?", **OPTIONS)
    short = storing.responses.compact(
        model=MODEL, input="And of Italy?", previous_response_id=first.id
    )
    assert short.object == "response.compaction" and short.usage.output_tokens > 0
    assert short.usage.input_tokens > first.usage.input_tokens
    *users, summary = short.output
    texts = [item.content[0].text for item in users]
    assert texts == ["What is the capital of France?", "And of Italy?"]
    assert [item.role for item in users] == ["user", "user"] and summary.type == "compaction"
    items = [item.model_dump(exclude_none=True) for item in short.output]
    more = [*items, {"role": "user", "content": "What is the weather in Oslo?"}]
    second = storing.responses.create(input=more, **OPTIONS)
    assert second.status == "completed" and second.output_text
    kept = list(storing.responses.input_items.list(second.id, order="asc"))
    assert [item.type for item in kept] == ["message", "message", "compaction", "message"]
    third = storing.responses.create(input="Go on", previous_response_id=second.id, **OPTIONS)
    assert third.usage.input_tokens > second.usage.input_tokens
    with pytest.raises(openai.NotFoundError, match="previous_response_id"):
        storing.responses.compact(model=MODEL, previous_response_id="resp-none")
