"""Guides as people send them: OpenAI's and Anthropic's examples, pydantic's and zod's output, OpenAPI,
Kubernetes, and every keyword that llguidance knows. llama.cpp may refuse none of them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["HONEST", "NOT_BY_XGRAMMAR"]

S, I, N, B = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))  # noqa: E741


def obj(required: list[str] | None = None, more: Any = False, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": more,
    }


def arr(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def nullable(value: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [value, {"type": "null"}]}


ADDRESS = obj(street=S, city=S, zip={"type": "string", "pattern": "^[0-9]{5}(-[0-9]{4})?$"})
SCHEMAS: dict[str, Any] = {
    "calendar event": obj(name=S, date=S, participants=arr(S)),
    "math steps": obj(steps=arr(obj(explanation=S, output=S)), final_answer=S),
    "research paper": obj(title=S, authors=arr(S), abstract=S, keywords=arr(S)),
    "moderation": obj(is_violating=B, category=nullable({"type": "string", "enum": ["violence", "sexual", "self_harm"]}), explanation_if_violating=nullable(S)),
    "weather": obj(location={"type": "string", "description": "City"}, unit={"type": ["string", "null"], "enum": ["F", "C", None]}),
    "linked list": {"type": "object", "properties": {"value": N, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["value", "next"], "additionalProperties": False},
    "tree": {"$defs": {"node": obj(value=I, children=arr({"$ref": "#/$defs/node"}))}, "$ref": "#/$defs/node"},
    "ui": {"type": "object", "properties": {"type": {"enum": ["div", "button", "form"]}, "label": S, "children": arr({"$ref": "#"}), "attributes": arr(obj(name=S, value=S))}, "required": ["type", "label", "children", "attributes"], "additionalProperties": False},
    "pydantic user": {"title": "User", "type": "object", "$defs": {"Address": ADDRESS | {"title": "Address"}}, "properties": {"id": {"title": "Id", "type": "integer"}, "email": {"title": "Email", "type": "string", "format": "email"}, "address": {"$ref": "#/$defs/Address"}, "tags": {"default": [], "items": S, "type": "array"}}, "required": ["id", "email", "address"]},
    "pydantic union": {"$defs": {"Cat": obj(kind={"const": "cat"}, meows=I), "Dog": obj(kind={"const": "dog"}, barks=N)}, "anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
    "pydantic optional": {"type": "object", "properties": {"a": {"anyOf": [S, {"type": "null"}], "default": None}, "b": {"anyOf": [I, {"type": "null"}], "default": None}}},
    "pydantic enum": {"$defs": {"Color": {"enum": ["red", "green"], "type": "string"}}, "type": "object", "properties": {"c": {"$ref": "#/$defs/Color"}}, "required": ["c"]},
    "pydantic constrained": obj(age={"type": "integer", "minimum": 0, "maximum": 150}, name={"type": "string", "minLength": 1, "maxLength": 50}, score={"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    "pydantic dates": obj(day={"type": "string", "format": "date"}, at={"type": "string", "format": "date-time"}, id={"type": "string", "format": "uuid"}),
    "pydantic tuple": {"type": "array", "prefixItems": [S, I, B], "minItems": 3, "maxItems": 3},
    "pydantic mapping": {"type": "object", "additionalProperties": I},
    "zod strict": {"$schema": "http://json-schema.org/draft-07/schema#", **obj(name=S, n={"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991})},
    "zod discriminated": {"anyOf": [obj(type={"type": "string", "const": "a"}, a=S), obj(type={"type": "string", "const": "b"}, b=N)]},
    "zod record": {"type": "object", "additionalProperties": obj(x=N, y=N)},
    "zod array bounds": arr(S, minItems=1, maxItems=10),
    "int32 lengths": obj(name={"type": "string", "minLength": 0, "maxLength": 2147483647}),
    "int32 items": arr(S, maxItems=2147483647),
    "int64 properties": {"type": "object", "additionalProperties": S, "maxProperties": 9223372036854775807},
    "openapi pet": obj(["name", "photoUrls"], id={"type": "integer", "format": "int64"}, name=S, photoUrls=arr(S), status={"type": "string", "enum": ["available", "pending", "sold"]}),
    "openapi order": obj(["id"], id=I, quantity={"type": "integer", "format": "int32"}, shipDate={"type": "string", "format": "date-time"}, complete=B),
    "openapi text": obj(body={"type": "string", "maxLength": 65535}),
    "openapi page": obj(items=arr(obj(id=I), maxItems=1000), next=nullable(S)),
    "kubernetes name": obj(name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}),
    "kubernetes labels": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"}},
    "kubernetes port": obj(port={"type": "integer", "minimum": 1, "maximum": 65535}),
    "semver": obj(version={"type": "string", "pattern": r"^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9A-Za-z.-]{1,40})?$"}),
    "phone": obj(phone={"type": "string", "pattern": r"^\+?[1-9]\d{6,14}$"}),
    "hex colour": obj(colour={"type": "string", "pattern": "^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"}),
    "iban": obj(iban={"type": "string", "pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"}),
    "ipv4": obj(ip={"type": "string", "format": "ipv4"}),
    "uri": obj(u={"type": "string", "format": "uri"}),
    "currency": obj(price={"type": "number", "multipleOf": 0.01}),
    "quarter hours": obj(minutes={"type": "integer", "multipleOf": 15}),
    "milliseconds of a day": obj(ms={"type": "integer", "multipleOf": 86400}),
    "percent": obj(p={"type": "integer", "minimum": 0, "maximum": 100}),
    "coordinates": obj(lat={"type": "number", "minimum": -90, "maximum": 90}, lon={"type": "number", "minimum": -180, "maximum": 180}),
    "matrix": arr(arr(N, minItems=3, maxItems=3), minItems=3, maxItems=3),
    "200 embeddings": arr(N, minItems=200, maxItems=200),
    "enum of countries": {"type": "string", "enum": [f"country-{i}" for i in range(250)]},
    "enum of mixed": {"enum": ["a", 1, True, None, 2.5]},
    "50 optional properties": obj([], **{f"field_{i}": [S, I, B][i % 3] for i in range(50)}),
    "300 required properties": obj(**{f"field_{i}": S for i in range(300)}),
    "50 alternatives": {"anyOf": [obj(kind={"const": f"k{i}"}, value=S) for i in range(50)]},
    "nested 20 deep": json.loads('{"type":"object","properties":{"a":' * 20 + '{"type":"string"}' + "}}" * 20),
    "allOf of two": {"allOf": [obj(["a"], True, a=S), obj(["b"], True, b=I)]},
    "any object": {"type": "object"},
    "anything": {},
    "true": {"type": "object", "properties": {"x": True}},
    "descriptions": obj(**{f"f{i}": {"type": "string", "description": "A long description. " * 20} for i in range(20)}),
    "null": {"type": "null"},
    "string": S,
    "unicode keys": obj(**{"größe": N, "名前": S, "😀": B}),
    "quotes in enum": {"enum": ['say "hi"', "back\\slash", "line\nbreak"]},
    "defaults and examples": obj(a={"type": "string", "default": "x", "examples": ["y"], "title": "A"}),
    "draft 7 definitions": {"definitions": {"a": S}, "type": "object", "properties": {"x": {"$ref": "#/definitions/a"}}, "required": ["x"]},
}  # fmt: skip
OTHERS = [
    ("regex", "date", r"\d{4}-\d{2}-\d{2}"),
    ("regex", "choice", "yes|no|maybe"),
    ("regex", "email", r"[a-z0-9._%+-]{1,64}@[a-z0-9.-]{1,253}\.[a-z]{2,10}"),
    ("regex", "sentence", r"[A-Z][^.!?]{1,500}[.!?]"),
    ("regex", "lines", r"(- [^\n]{1,80}\n){1,20}"),
    ("regex", "unicode", r"\w+ \w+"),
    ("grammar", "choice", 'root ::= "yes" | "no"'),
    ("grammar", "list", 'root ::= ("- " [a-z ]+ "\\n"){1,10}'),
    ("grammar", "expression", 'root ::= term ("+" term)*\nterm ::= [0-9]+ | "(" root ")"'),
    ("grammar", "chess", 'root ::= "1. " move " " move "\\n"\nmove ::= (pawn | nonpawn) [+#]?\npawn ::= ([a-h] "x")? [a-h] [1-8]\nnonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]'),
    ("json", "any", ""),
]  # fmt: skip
HONEST = [("json_schema", name, json.dumps(schema)) for name, schema in SCHEMAS.items()] + OTHERS

NOT_BY_XGRAMMAR = {
    "currency": "multipleOf", "quarter hours": "multipleOf", "milliseconds of a day": "multipleOf",
    "allOf of two": "allOf",
}  # fmt: skip
"""Names of those that TensorRT-LLM refuses, and the keyword."""
