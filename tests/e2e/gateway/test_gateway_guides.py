"""What a client asks the form of is what it gets, on the real server: schemas of pydantic, characters
that are no tokens, tools of old drafts; and what cannot be enforced is refused by name."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import httpx
import jsonschema
import pytest
from gemma4_testing.servers.running_gateway import chat
from pydantic import BaseModel, HttpUrl, TypeAdapter


class Mood(StrEnum):
    HAPPY = "😀"
    LINES = "a\u2028b"
    RARE = "鱻𠮷"


class Link(BaseModel):
    url: HttpUrl
    mood: Mood


DRAFT4 = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "id": "http://example.com/tool",
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9},
        "unit": {"type": "string", "required": True, "enum": ["°C", "°F"]},
        "pair": {"type": "array", "items": [{"type": "integer", "maximum": 9, "minimum": 0}, {"type": "boolean"}],
                 "additionalItems": False, "minItems": 2},
    },
    "required": ["count", "pair"],
}  # fmt: skip
SCHEMAS = {
    "emoji enum": {"enum": ["😀", "🏳️‍🌈"]},
    "emoji const": {"const": "x😀y\u2028"},
    "emoji key": {"type": "object", "properties": {"größe😀": {"type": "boolean"}}, "required": ["größe😀"], "additionalProperties": False},
    "emoji pattern": {"type": "string", "pattern": "^[😀😁]{3}$"},
    "date": {"type": "string", "format": "date"},
    "one of references": {"$defs": {"A": {"type": "object", "properties": {"k": {"const": "a"}}, "required": ["k"], "additionalProperties": False},
                                    "B": {"type": "object", "properties": {"k": {"const": "b"}}, "required": ["k"], "additionalProperties": False}},
                          "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "discriminator": {"propertyName": "k"}},
    "zod record": {"type": "object", "propertyNames": {"type": "string", "enum": ["x", "y"]}, "additionalProperties": {"type": "boolean"}, "required": ["x"]},
    "integers": {"type": "array", "items": {"type": "integer", "minimum": 10, "maximum": 20, "multipleOf": 5}, "minItems": 2, "maxItems": 2},
}  # fmt: skip


def form(schema: Any, **more: Any) -> dict[str, Any]:
    asked = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    return chat("Give me JSON", response_format=asked, max_tokens=200, **more)


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("temperature", [0, 2])
def test_the_answer_is_valid(http: httpx.Client, name: str, temperature: int) -> None:
    body = form(SCHEMAS[name]) | {"temperature": temperature, "seed": 3}
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    (choice,) = reply.json()["choices"]
    assert choice["finish_reason"] == "stop", choice
    jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMAS[name])


def tool(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "act", "parameters": parameters}}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "act"}}])
def test_a_forced_call_with_pydantics_url_and_an_emoji_enum(
    http: httpx.Client, choice: dict[str, Any] | str
) -> None:
    schema = Link.model_json_schema()
    body = chat("Call the tool", tools=[tool(schema)], tool_choice=choice, max_tokens=300)
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    (answer,) = reply.json()["choices"]
    arguments = answer["message"]["tool_calls"][0]["function"]["arguments"]
    if answer["finish_reason"] != "length":
        found = json.loads(arguments)
        assert found["mood"] in list(Mood)
        jsonschema.validate(found, schema)
    assert arguments.startswith('{"url": "')


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "act"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_call_of_a_draft_4_tool(
    http: httpx.Client, choice: dict[str, Any] | str, stream: bool
) -> None:
    body = chat("Call", tools=[tool(DRAFT4)], tool_choice=choice, max_tokens=200, stream=stream)
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    if stream:
        events = [json.loads(x[6:]) for x in reply.text.split("\n") if x.startswith("data: {")]
        deltas = [c["delta"] for e in events for c in e["choices"]]
        calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
        text = "".join(call["function"].get("arguments") or "" for call in calls)
    else:
        (answer,) = reply.json()["choices"]
        text = answer["message"]["tool_calls"][0]["function"]["arguments"]
    found = json.loads(text)
    jsonschema.Draft4Validator(DRAFT4 | {"required": ["count", "pair", "unit"]}).validate(found)
    assert found["count"] > 0 and found["unit"] in ("°C", "°F")


@pytest.mark.parametrize("choice", ["😀", "a\u2028b", "鱻"])
def test_a_choice_of_characters_that_are_no_tokens(http: httpx.Client, choice: str) -> None:
    body = chat("Hi", structured_outputs={"choice": [choice]}, max_tokens=30)
    (answer,) = http.post("/v1/chat/completions", json=body).json()["choices"]
    assert answer["message"]["content"] == choice
    assert answer["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (TypeAdapter(set[str]).json_schema(), "uniqueItems"),
        ({"type": "string", "format": "regex"}, "format 'regex'"),
        ({"type": "string", "pattern": "^(?=a)"}, "lookahead"),
        ({"not": {"type": "string"}}, "not cannot"),
        ({"$ref": "http://example.com/s.json"}, "leads out of this schema"),
    ],
)
def test_what_cannot_be_enforced_is_refused_by_name(
    http: httpx.Client, schema: dict[str, Any], says: str
) -> None:
    reply = http.post("/v1/chat/completions", json=form(schema))
    assert reply.status_code == 400
    assert says in reply.json()["error"]["message"]
    assert reply.json()["error"]["param"] == "response_format"
    body = chat("Hi", tools=[tool({"type": "object", "properties": {"a": schema}})],
                tool_choice={"type": "function", "function": {"name": "act"}})  # fmt: skip
    reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith("tool")


def test_a_cut_answer_is_cut_and_no_error(http: httpx.Client) -> None:
    body = form({"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 3}) | {
        "max_tokens": 6
    }
    (answer,) = http.post("/v1/chat/completions", json=body).json()["choices"]
    assert answer["finish_reason"] == "length"
    assert answer["message"]["content"].startswith('["')
