"""Guides and tools that are small to send and large to serve: name, kind, text, what is said."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["BOMBS", "Bomb"]


class Bomb(NamedTuple):
    name: str
    kind: str
    text: str
    says: str = ""


def schema(name: str, value: Any, says: str = "") -> Bomb:
    return Bomb(name, "json_schema", json.dumps(value, separators=(",", ":")), says)


def tree(depth: int, wrap: Any, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = wrap(leaf)
    return leaf


STRING = {"type": "string"}
ARRAY = {"type": "array", "items": STRING}
PROPERTIES = {f"p{i}": STRING for i in range(2000)}
REACH = "more than this engine can write"
REPEATS = "add up to"
PARTS = "when its repeats are written out"
MULTIPLE = "multipleOf comes to"
VALUES = "JSON values; at most"
SLOW = "guided_decoding_guide: "  # slow or broken, as llguidance says

BOMBS = [
    schema("minItems 10^9", ARRAY | {"minItems": 10**9}, REACH),
    schema("minItems 10^7", ARRAY | {"minItems": 10**7}, REACH),
    schema("minItems 60000", ARRAY | {"minItems": 60_000}, REPEATS),
    schema("maxItems 60000", ARRAY | {"maxItems": 60_000}, REPEATS),
    schema("both items", ARRAY | {"minItems": 9_000, "maxItems": 9_000}, REPEATS),
    schema("sum of items", {"type": "object", "properties": {f"a{i}": ARRAY | {"maxItems": 500} for i in range(50)}}, REPEATS),
    schema("items in items", tree(5, lambda x: {"type": "array", "items": x, "maxItems": 5000}, STRING), REPEATS),
    schema("minLength 10^9", STRING | {"minLength": 10**9}, REACH),
    schema("minProperties 10^9", {"type": "object", "minProperties": 10**9}, REACH),
    schema("maxProperties 50000", {"type": "object", "maxProperties": 50_000}, REPEATS),
    schema("items in $defs", {"$defs": {"a": ARRAY | {"maxItems": 50_000}}, "$ref": "#/$defs/a"}, REPEATS),
    schema("items in anyOf", {"anyOf": [ARRAY | {"maxItems": 20_000}, STRING]}, REPEATS),
    schema("items in prefixItems", {"type": "array", "prefixItems": [ARRAY | {"maxItems": 20_000}]}, REPEATS),
    schema("items in additionalProperties", {"type": "object", "additionalProperties": ARRAY | {"maxItems": 20_000}}, REPEATS),
    schema("multipleOf prime", {"type": "integer", "multipleOf": 1_000_003}, MULTIPLE),
    schema("multipleOf many", {"anyOf": [{"type": "integer", "multipleOf": 50_000 + i} for i in range(4)]}, MULTIPLE),
    schema("multipleOf decimals", {"type": "number", "multipleOf": 1.23456789}, MULTIPLE),
    schema("multipleOf huge", {"type": "integer", "multipleOf": 10**18}, MULTIPLE),
    schema("multipleOf 1e300", {"type": "number", "multipleOf": 1e300}, MULTIPLE),
    schema("multipleOf tiny", {"type": "number", "multipleOf": 1.2345678901e-10}, MULTIPLE),
    schema("lcm", {"allOf": [{"type": "integer", "multipleOf": 9973}, {"multipleOf": 9967}]}, SLOW),
    schema("pattern nested", STRING | {"pattern": "^(a{1000}){1000}$"}, PARTS),
    schema("pattern long", STRING | {"pattern": "^[a-z]{1,100000}$"}, PARTS),
    schema("pattern key", {"type": "object", "patternProperties": {"^(x{300}){300}$": STRING}}, PARTS),
    schema("pattern in $defs", {"$defs": {"a": STRING | {"pattern": "(.{999}){99}"}}, "type": "object"}, PARTS),
    schema("patterns to intersect", {"type": "string", "allOf": [{"pattern": f"a{{{i}}}[a-z]*b"} for i in range(2, 30)]}, SLOW),
    schema("200 patternProperties", {"type": "object", "patternProperties": {f"^x{i}[a-z]*$": STRING for i in range(200)}}, "200 patternProperties"),
    schema("patternProperties overlap", {"type": "object", "patternProperties": {f"[a-z]*x[a-z]{{{i}}}": STRING for i in range(12)}}, SLOW),
    schema("lengths and pattern", STRING | {"minLength": 3000, "maxLength": 10_000, "pattern": "^([a-z]{2}|[0-9])+$"}, SLOW),
    schema("2000 properties", {"type": "object", "properties": PROPERTIES}, SLOW),
    schema("1000 optional properties and more", {"type": "object", "properties": {f"p{i}": STRING for i in range(1000)}, "additionalProperties": True}, SLOW),
    schema("a constant of 9000 keys", {"const": {f"k{i}": i for i in range(9000)}}, SLOW),
    schema("12000 values in enum", {"enum": list(range(12_000))}, VALUES),
    schema("15000 empty schemas", {"allOf": [{}] * 15_000}, VALUES),
    schema("12000 required", {"type": "object", "required": [f"{i}" for i in range(12_000)]}, "guided_decoding_guide"),
    schema("2^16 alternatives by allOf", {"allOf": [{"anyOf": [{"type": "object", "properties": {f"a{i}": STRING}}, {"type": "object", "properties": {f"b{i}": STRING}}]} for i in range(16)]}, "too large"),
    schema("2^16 alternatives by oneOf", {"allOf": [{"oneOf": [{"properties": {f"a{i}": {"const": 1}}, "required": [f"a{i}"]}, {"properties": {f"a{i}": {"const": 2}}, "required": [f"a{i}"]}]} for i in range(16)]}, SLOW),
    schema("$ref to itself", {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, SLOW),
    schema("allOf of itself", {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, STRING]}}, "$ref": "#/$defs/a"}, "circular"),
    schema("$ref elsewhere", {"$ref": "http://example.com/schema.json"}, SLOW),
    schema("$ref to a file", {"$ref": "file:///etc/passwd"}, SLOW),
    schema("nested 70 deep", tree(70, lambda x: {"type": "array", "items": x}, STRING), "nested too deep"),
    schema("numbers without bound", {"type": "number", "minimum": -1e300, "maximum": 1e300}, SLOW),
    schema("integers beyond 64 bits", {"type": "integer", "minimum": -(10**30), "maximum": 10**30}, SLOW),
    Bomb("infinite minItems", "json_schema", '{"type":"array","minItems":1e999}', "guided_decoding_guide"),
    Bomb("5000 digits", "json_schema", '{"minItems":' + "9" * 5000 + "}", "guided_decoding_guide"),
    Bomb("1000 digits", "json_schema", '{"type":"array","minItems":' + "9" * 1000 + "}", "guided_decoding_guide"),
    Bomb("regex nested", "regex", "(a{1000}){1000}", PARTS),
    Bomb("regex nested four times", "regex", "((([a-z]{30}){30}){30}){30}", PARTS),
    Bomb("regex long", "regex", "a{100000}", PARTS),
    Bomb("regex beyond all", "regex", "a{99999999999999999999}", PARTS),
    Bomb("regex open", "regex", "(ab{20000,}c)+", PARTS),
    Bomb("regex in a group", "regex", "(?:(?P<x>[^)]{200}\\)){200})", PARTS),
    Bomb("regex of 1000 stars", "regex", "a*" * 1000, SLOW),
    Bomb("regex nested 300 deep", "regex", "(" * 300 + "a" + ")" * 300, SLOW),
    Bomb("regex of 3000 deep", "regex", "(" * 3000 + "a" + ")" * 3000, SLOW),
    Bomb("regex with names", "regex", "(?P<a>x{101}){101}", PARTS),
    Bomb("grammar repeat", "grammar", 'root ::= "a"{100000}', PARTS),
    Bomb("grammar 10^7", "grammar", "root ::= [a-z]{10000000}", PARTS),
    Bomb("grammar nested", "grammar", 'root ::= (("a"{1,100}){1,100}){1,100}', PARTS),
    Bomb("grammar literal", "grammar", 'root ::= "' + "ab" * 50 + '"{1,500}', PARTS),
    Bomb("grammar 5000 alternatives", "grammar", "root ::= " + " | ".join(f'"w{i}"' for i in range(5000)), PARTS),
    Bomb("grammar class", "grammar", "root ::= ([0-9a-f]{4}){9000}", PARTS),
    Bomb("grammar without an end", "grammar", 'root ::= root2 "a"\nroot2 ::= root "b"', SLOW),
]  # fmt: skip
