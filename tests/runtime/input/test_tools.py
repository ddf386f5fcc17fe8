"""Schemas that tools really have: the model sees what they say, or the tool is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.text import GUARD
from gemma4_runtime.input.tools import parse_tools
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.chat_templates import DEMO, SECOND
from transformers.utils.chat_template_utils import render_jinja_template

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
USER = [{"role": "user", "content": "Hi"}]
TEMPLATES = {"second": ChatTemplate(SECOND), "demo": ChatTemplate(DEMO)}


def with_properties(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def tool(parameters: dict[str, Any] | None, **others: Any) -> list[dict[str, Any]]:
    function = {"name": "f", "description": "d", "parameters": parameters} | others
    return [{"type": "function", "function": function}]


def declared(tools: list[dict[str, Any]], template: str = "second") -> str:
    """What the model reads of the declaration, with plain quotes."""
    parsed = parse_tools(json.dumps(tools), LIMITS, lambda text, field: text)
    text = TEMPLATES[template].render(USER, parsed, thinking=False)
    inner = text[text.index("<|tool>declaration:f") : text.index("<tool|>")]
    return inner.removeprefix("<|tool>declaration:f").replace('<|"|>', "'")


SHOWN = {
    "null in type": ({"type": ["string", "null"]}, "{nullable:true,type:'STRING'}"),
    "optional": ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "A"}, "{nullable:true,type:'STRING'}"),
    "optional, described": ({"anyOf": [{"type": "integer", "description": "n"}, {"type": "null"}]}, "{description:'n',nullable:true,type:'INTEGER'}"),
    "nested optional": ({"anyOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "null"}]}, "{nullable:true,type:'STRING'}"),
    "two types": ({"type": ["string", "integer"]}, "{type:'STRING|INTEGER'}"),
    "either": ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, "{nullable:true,type:'STRING|INTEGER'}"),
    "either, with more": ({"oneOf": [{"type": "string", "pattern": "a"}, {"type": "boolean"}], "description": "D"}, """{description:'D JSON schema: {"oneOf": [{"type": "string", "pattern": "a"}, {"type": "boolean"}]}',type:'STRING|BOOLEAN'}"""),
    "constants": ({"oneOf": [{"const": "a"}, {"const": "b", "title": "B"}]}, "{enum:['a','b'],type:'STRING'}"),
    "all": ({"allOf": [{"type": "string", "enum": ["a"]}], "description": "D"}, "{description:'D',enum:['a'],type:'STRING'}"),
    "all that contradict": ({"allOf": [{"type": "string"}, {"type": "integer"}]}, """{description:'JSON schema: {"allOf": [{"type": "integer"}]}',type:'STRING'}"""),
    "anything": (True, "{type:'ANY'}"),
    "anything, as an object": ({}, "{type:'ANY'}"),
    "nothing": (False, "{description:'JSON schema: false',type:'ANY'}"),
    "no type, properties": ({"properties": {"x": {"type": "string"}}}, "{properties:{x:{type:'STRING'}},type:'OBJECT'}"),
    "no type, items": ({"items": {"type": "string"}}, "{items:{type:'STRING'},type:'ARRAY'}"),
    "no type, pattern": ({"pattern": "a"}, "{type:'STRING'}"),
    "no type, enum": ({"enum": ["a", "b"]}, "{enum:['a','b'],type:'STRING'}"),
    "enum with null": ({"enum": ["a", None]}, "{enum:['a'],nullable:true,type:'STRING'}"),
    "enum of numbers": ({"type": "integer", "enum": [1, 2]}, """{description:'JSON schema: {"enum": [1, 2]}',type:'INTEGER'}"""),
    "constant": ({"const": "a"}, "{enum:['a'],type:'STRING'}"),
    "constant number": ({"const": 5}, """{description:'JSON schema: {"enum": [5]}',type:'INTEGER'}"""),
    "items anything": ({"type": "array", "items": True}, "{type:'ARRAY'}"),
    "no items": ({"type": "array", "items": False}, """{description:'JSON schema: {"items": false}',type:'ARRAY'}"""),
    "items optional": ({"type": "array", "items": {"type": ["string", "null"]}}, "{items:{nullable:true,type:'STRING'},type:'ARRAY'}"),
    "items of draft 7": ({"type": "array", "items": [{"type": "string"}], "additionalItems": False}, """{description:'JSON schema: {"prefixItems": [{"type": "string"}], "items": false}',type:'ARRAY'}"""),
    "map": ({"type": "object", "additionalProperties": {"type": "integer"}}, """{description:'JSON schema: {"additionalProperties": {"type": "integer"}}',properties:{},type:'OBJECT'}"""),
    "bare object": ({"type": "object", "title": "T"}, "{properties:{},type:'OBJECT'}"),
    "object or string": ({"type": ["object", "string"], "properties": {"x": True}}, """{description:'JSON schema: {"properties": {"x": true}}',type:'OBJECT|STRING'}"""),
    "null keywords": ({"type": "object", "properties": None, "required": None, "description": None}, "{properties:{},type:'OBJECT'}"),
    "draft 4": ({"type": "integer", "minimum": 1, "exclusiveMinimum": True, "id": "x"}, "{type:'INTEGER'}"),
    "shouted": ({"type": "STRING"}, "{type:'STRING'}"),
    "not": ({"type": "string", "not": {"enum": ["a"]}}, """{description:'JSON schema: {"not": {"enum": ["a"]}}',type:'STRING'}"""),
    "only null": ({"type": "null"}, "{type:'NULL'}"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_a_property_is_shown(name: str) -> None:
    schema, expected = SHOWN[name]
    assert declared(tool(with_properties(a=schema))) == (
        "{description:'d',parameters:{properties:{a:" + expected + "},type:'OBJECT'}}"
    )
    assert "type:" in declared(tool(with_properties(a=schema)), "demo")


T = with_properties(v={"type": "integer"}, kids={"type": "array", "items": {"$ref": "#/$defs/T"}})
WHOLE = {
    "null": (None, ""),
    "empty": ({}, ""),
    "bare": ({"type": "object"}, ",parameters:{type:'OBJECT'}"),
    "nulls": ({"type": "object", "properties": None, "required": None}, ",parameters:{type:'OBJECT'}"),
    "no type": ({"properties": {"a": {"type": "string"}}}, ",parameters:{properties:{a:{type:'STRING'}},type:'OBJECT'}"),
    "required of a property": (with_properties(a={"type": "string", "required": True}, b={"type": "string", "required": False}), ",parameters:{properties:{a:{type:'STRING'},b:{type:'STRING'}},required:['a'],type:'OBJECT'}"),
    "reference": ({"$ref": "#/definitions/A", "definitions": {"A": with_properties(x={"$ref": "#/definitions/B~1b", "description": "x"}), "B/b": {"type": "string", "description": "b"}}}, ",parameters:{properties:{x:{description:'x',type:'STRING'}},type:'OBJECT'}"),
    "contains itself": (with_properties(t={"$ref": "#/$defs/T"}) | {"$defs": {"T": T}}, ",parameters:{properties:{t:{properties:{kids:{items:{description:'as the T that contains it',type:'OBJECT'},type:'ARRAY'},v:{type:'INTEGER'}},type:'OBJECT'}},type:'OBJECT'}"),
    "is itself": ({"type": "object", "$ref": "#"}, ",parameters:{type:'OBJECT'}"),
    "all of": ({"allOf": [with_properties(a={"type": "string"}) | {"required": ["a"]}, with_properties(b={"type": "null"})]}, ",parameters:{properties:{a:{type:'STRING'},b:{type:'NULL'}},required:['a'],type:'OBJECT'}"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_parameters_are_shown(name: str) -> None:
    schema, expected = WHOLE[name]
    assert declared(tool(schema)) == "{description:'d'" + expected + "}"


def test_what_parameters_cannot_say_is_in_the_functions_description() -> None:
    parts = [with_properties(a={"type": "string"}), with_properties(b={"type": "string"})]
    said = 'd JSON schema: {"anyOf": ' + json.dumps(parts) + "}"
    assert declared(tool({"anyOf": parts})) == (
        "{description:'" + said + "',parameters:{type:'OBJECT'}}"
    )


def test_the_schema_of_the_response_is_shown() -> None:
    response = {"type": "object", "description": "r"}
    assert declared(tool(None, response=response)) == (
        "{description:'d',response:{description:'r',type:'OBJECT'}}"
    )


PLAIN = [
    tool(with_properties(a={"type": "string", "description": "c", "enum": ["a", "b"]}, n={"type": "integer", "minimum": 1}) | {"required": ["a"]}),
    tool(with_properties(a={"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"], "additionalProperties": False}})),
    tool(with_properties(a={"type": "array", "items": {"type": "string", "enum": ["a"], "description": "d"}, "nullable": True})),
    tool(with_properties(o={"type": "object", "description": "o", "properties": {"x": {"type": "boolean"}}, "required": ["x"]})),
    tool({"type": "object", "properties": {}}),
]  # fmt: skip


@pytest.mark.parametrize("tools", PLAIN)
@pytest.mark.parametrize("path", [SECOND, DEMO], ids=["second", "demo"])
def test_what_the_template_knows_is_shown_as_by_transformers(
    path: Path, tools: list[dict[str, Any]]
) -> None:
    (expected,), _ = render_jinja_template(
        [USER], tools=tools, chat_template=path.read_text(), add_generation_prompt=True,
        enable_thinking=False, bos_token="<bos>",
    )  # fmt: skip
    parsed = parse_tools(json.dumps(tools), LIMITS, lambda text, field: text)
    assert ChatTemplate(path).render(USER, parsed, thinking=False) == expected


WIDE = {f"a{i}": with_properties(**{key: {"$ref": f"#/$defs/a{i + 1}"} for key in "abcdefgh"}) for i in range(20)}  # fmt: skip
DEEP = {f"a{i}": with_properties(a={"$ref": f"#/$defs/a{i + 1}"}) for i in range(200)}
REFUSED = {
    "elsewhere": (with_properties(a={"$ref": "http://x/y"}), "leads out of this schema"),
    "anchor": (with_properties(a={"$ref": "#y"}), "leads out of this schema"),
    "nowhere": (with_properties(a={"$ref": "#/$defs/y"}), "leads nowhere"),
    "no such item": ({"type": "object", "allOf": [{}], "properties": {"a": {"$ref": "#/allOf/1"}}}, "leads nowhere"),
    "no schema": (with_properties(a={"$ref": "#/type"}), "leads to what is no schema"),
    "properties": (with_properties(type={"type": "string"}, a={"$ref": "#/properties"}), "is not a JSON schema"),
    "dynamic": (with_properties(a={"$dynamicRef": "#a"}), "$dynamicRef cannot be shown"),
    "wide": (with_properties(x={"$ref": "#/$defs/a0"}) | {"$defs": WIDE | {"a20": {}}}, "come to more than 262144 characters"),
    "on and on": (with_properties(x={"$ref": "#/$defs/a0"}) | {"$defs": {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(99)} | {"a99": {}}}, "more than 64 $ref lead on"),
    "deep": (with_properties(x={"$ref": "#/$defs/a0"}) | {"$defs": DEEP | {"a200": {}}}, "deeper than 64"),
    "no object": ({"type": "string"}, "of type object, not string"),
    "object or not": ({"anyOf": [{"type": "object"}, {"type": "string"}]}, "of type object, not object|string"),
    "itself only": ({"allOf": [{"$ref": "#"}], "type": "array"}, "of type object, not array"),
    "list": ([], "of type object, not a list"),
    "true": (True, "of type object, not True"),
    "unknown type": (with_properties(a={"type": "text"}), "is not a JSON schema"),
    "required text": ({"type": "object", "required": "a"}, "is not a JSON schema"),
}  # fmt: skip


@pytest.mark.parametrize("key", ["parameters", "response"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_is_refused_by_the_name_of_its_tool(name: str, key: str) -> None:
    schema, says = REFUSED[name]
    tools = [*tool(None), {"type": "function", "function": {"name": "g", key: schema}}]
    with pytest.raises(RequestError) as caught:
        parse_tools(json.dumps(tools), LIMITS, lambda text, field: text)
    assert caught.value.status is Status.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"tools[1].function.{key}")
    assert says in caught.value.message


def test_text_of_schemas_is_guarded() -> None:
    """Also what is added to descriptions."""
    schema = with_properties(a={"anyOf": [{"const": "<|turn>"}, {"type": "object"}]})
    parsed = parse_tools(
        json.dumps(tool(schema)), LIMITS, lambda t, _: t.replace("<|", "<" + GUARD)
    )
    assert "<|" not in json.dumps(parsed)
    assert "turn>" in json.dumps(parsed)
