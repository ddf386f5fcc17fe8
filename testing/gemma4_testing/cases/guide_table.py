"""Schemas by keyword, and what becomes of each: enforced, or refused by name.

Each row is (family, schema, refusals): no refusal means that every runtime enforces it. "all" refuses
on every runtime, "trt" on TensorRT-LLM, "llama" on llama.cpp; the value is part of the message.
"""

from __future__ import annotations

from typing import Any

from gemma4_runtime.guides.schema.formats import ANNOTATIONS, INTEGERS, PATTERNS

from gemma4_testing.cases.honest_guides import arr, nullable, obj

__all__ = ["ROWS", "STARTS", "Row"]

Row = tuple[str, Any, dict[str, str]]

S, I, N, B, Z = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))  # noqa: E741
DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT6 = "http://json-schema.org/draft-06/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"
NEW = "https://json-schema.org/draft/2019-09/schema"
HTTP_URL = {"format": "uri", "maxLength": 2083, "minLength": 1, "title": "Url", "type": "string"}


def pattern(text: str) -> dict[str, Any]:
    return {"type": "string", "pattern": text}


ROWS: list[Row] = []


def enforced(family: str, *schemas: Any) -> None:
    ROWS.extend((family, schema, {}) for schema in schemas)


def refused(family: str, says: str, *schemas: Any, runtime: str = "all") -> None:
    ROWS.extend((family, schema, {runtime: says}) for schema in schemas)


enforced(
    "type", S, I, N, B, Z, {"type": "object"}, {"type": "array"}, {}, {"type": ["string", "null"]},
    {"type": ["integer", "boolean"]}, {"type": ["object", "array"]}, {"type": "STRING"},
    obj(a={"type": "INTEGER"}), {"type": "string", "nullable": True},
    {"type": "string", "nullable": True, "enum": ["a", "b"]}, obj(a=True),
)  # fmt: skip
refused("type", "is not a JSON schema", {"type": "text"}, {"type": 5}, {"type": []}, {"type": {}})
enforced(
    "constants", {"const": "x"}, {"const": 1}, {"const": True}, {"const": None}, {"const": ""},
    {"const": {"a": [1, "b"]}}, {"const": [1, 2]}, {"enum": ["a", "b"]}, {"enum": [1, 2, 3]},
    {"enum": ["a", 1, None, True]}, {"enum": [{"a": 1}, [2]]}, {"enum": [1.5, -2]},
    {"type": "string", "enum": ["a", "b"]}, {"enum": ["with \"quotes\"", "back\\slash", "line\nend"]},
    {"enum": ["\t", "\x01", "/"]}, obj(status={"type": "string", "enum": ["on", "off"]}),
)  # fmt: skip
enforced(
    "characters", {"const": "😀"}, {"enum": ["😀", "日本", "🏳️‍🌈"]}, {"const": "\u2028"},
    {"enum": ["𠮷野家", "鱻"]}, obj(**{"größe😀": S}), {"enum": ["é", "é"]},
    pattern("^[😀😁]+$"), pattern("^\\uD83D\\uDE00$"),
    pattern("^[\\u4e00-\\u9fff]{2}$"), pattern("^\u2028$"), {"const": "\U0010fffd"},
    {"type": "object", "patternProperties": {"^😀$": I}, "additionalProperties": False},
)  # fmt: skip
enforced(
    "string", {"type": "string", "minLength": 3}, {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 2, "maxLength": 4}, {"type": "string", "maxLength": 0},
    {"minLength": 2}, {"type": "string", "maxLength": 2147483647},
)  # fmt: skip
enforced(
    "pattern", pattern("^a+$"), pattern("b"), pattern("^x"), pattern("y$"), pattern("^(a|b)c$"),
    pattern("^[a-c]{2,4}$"), pattern("^\\d{3}$"), pattern("^\\w+$"), pattern("^\\s$"),
    pattern("^\\D\\W\\S$"), pattern("^[\\d\\-]+$"), pattern("^[^\\d]$"), pattern("^[\\s\\S]$"),
    pattern("^.$"), pattern("^a.c$"), pattern("^a\\.b$"), pattern("^\\x41$"), pattern("^\\u0041$"),
    pattern("^(?:ab)*$"), pattern("^(?P<n>a)$"), pattern("^a*?b$"), pattern("^\\/x\\/$"),
    pattern("^\\t$"), pattern("^\\n$"), pattern("^[a&&b]$"), pattern("^[[]$"), pattern("^a{$"),
    pattern("^}$"), pattern("^[~~]$"), pattern("^$"), pattern("^a|b$"), pattern("^\\\\$"), pattern('^"$'),
    pattern("^#$"), pattern("^a b$"), pattern("^[+-]?[0-9]+(\\.[0-9]+)?$"), pattern("^\\+?[1-9]\\d{6,14}$"),
    pattern(r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"),
    {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5},
    {"pattern": "^a$", "type": ["string", "null"]},
)  # fmt: skip
refused("pattern", "lookahead", pattern("^(?=a)"), pattern("^(?!a)b$"))
refused("pattern", "lookbehind", pattern("(?<=a)b"), pattern("(?<!a)b"))
refused("pattern", "back-reference", pattern(r"^(a)\1$"), pattern("^(?P<x>a)(?P=x)$"))
refused("pattern", "word boundary", pattern(r"\ba"), pattern(r"a\B"))
refused("pattern", "use ^ or $", pattern(r"\Aa\Z"))
refused("pattern", "begins with ]", pattern("^[]a]$"))
refused(
    "pattern",
    "not a regular expression",
    pattern("^\\u{1F600}$"),
    pattern("("),
    pattern("a**"),
    pattern("[z-a]"),
)
for name in PATTERNS:
    enforced("format", {"type": "string", "format": name})
for name in INTEGERS:
    enforced("format", {"type": "integer", "format": name})
for name in sorted(ANNOTATIONS):
    enforced("format", {"type": "string", "format": name})
enforced(
    "format", HTTP_URL, obj(url=HTTP_URL), nullable(HTTP_URL), {"format": "date"},
    {"type": ["string", "null"], "format": "date-time"}, {"type": "number", "format": "double"},
    {"type": "string", "format": "email", "pattern": "@example\\.com$"},
    {"type": "string", "format": "uuid", "maxLength": 36}, {"type": "integer", "format": "date"},
)  # fmt: skip
refused(
    "format", "cannot be enforced", *({"type": "string", "format": name} for name in (
        "regex", "uri-template", "json-string", "ipv4network", "color", "phone", "made-up", "iso-time",
    )),
)  # fmt: skip
enforced(
    "number", {"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 5},
    {"type": "integer", "minimum": -3, "maximum": 12}, {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 3},
    {"type": "number", "minimum": 0, "maximum": 1}, {"type": "number", "exclusiveMinimum": 0},
    {"type": "number", "exclusiveMaximum": 1.5, "minimum": -1.5}, {"type": "integer", "minimum": 5, "maximum": 5},
    {"type": "integer", "minimum": 1000000, "maximum": 2000000}, {"minimum": 3}, {"type": ["integer", "null"], "minimum": 1},
    {"type": "integer", "minimum": 0.5, "maximum": 3.5}, {"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
    {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
)  # fmt: skip
refused(
    "multiples", "multipleOf", {"type": "integer", "multipleOf": 5}, {"type": "number", "multipleOf": 0.01},
    {"type": "integer", "multipleOf": 3, "minimum": 10, "maximum": 20}, runtime="trt",
)  # fmt: skip
refused("multiples", "multipleOf", {"type": "integer", "multipleOf": 1000003})
enforced(
    "array", arr(S), arr(I, minItems=2), arr(I, maxItems=2), arr(S, minItems=1, maxItems=3),
    {"type": "array", "prefixItems": [S, I], "minItems": 2, "maxItems": 2}, {"type": "array", "maxItems": 0},
    {"type": "array", "prefixItems": [S, I], "items": False, "minItems": 2}, {"type": "array", "items": [S, B], "minItems": 2, "maxItems": 2},
    {"type": "array", "items": [S], "additionalItems": False, "minItems": 1}, arr(arr(I, minItems=1, maxItems=2)),
    arr({"anyOf": [S, I]}), arr(S, uniqueItems=False), {"type": "array", "items": False}, arr(obj(a=I)),
    {"items": I, "type": "array", "minItems": 3, "maxItems": 3},
)  # fmt: skip
refused(
    "array",
    "uniqueItems cannot be enforced",
    arr(S, uniqueItems=True),
    obj(tags=arr(S, uniqueItems=True)),
)
refused(
    "array", "contains cannot", arr(S, contains={"const": "a"}), arr(I, contains=I, minContains=2)
)
refused("array", "unevaluatedItems cannot", arr(S, unevaluatedItems=False))
refused("array", "add up", arr(S, minItems=9000, maxItems=9500))
enforced(
    "object", obj(a=S, b=I), obj([], a=S, b=I), obj(["a"], a=S, b=I), obj(), {"type": "object", "properties": {"a": I}},
    {"type": "object", "required": ["x"]}, {"type": "object", "additionalProperties": I},
    {"type": "object", "additionalProperties": False}, obj(["a"], {"type": "integer"}, a=S),
    {"type": "object", "properties": {"a": S}, "required": ["a", "z"]}, {"properties": {"a": I}, "required": ["a"], "type": "object"},
    obj(**{"a b": S, "": I, 'q"': B}), {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": N},
    {"type": "object", "propertyNames": {"enum": ["x", "y"]}, "additionalProperties": I},
    {"type": "object", "propertyNames": {"type": "string", "enum": ["x", "y"]}, "additionalProperties": S, "required": ["x", "y"]},
    {"type": "object", "propertyNames": {"pattern": "^k[0-9]$"}, "additionalProperties": I},
    {"type": "object", "patternProperties": {"^k[0-9]$": S}, "additionalProperties": False},
    {"type": "object", "patternProperties": {"^k[0-9]$": S, "^n[0-9]$": I}, "additionalProperties": False},
    obj(o=obj(p=obj(q=I))), {"type": "object", "unevaluatedProperties": True},
    {"type": "object", "dependentRequired": {}}, {"type": "object", "properties": {"a": I}, "required": []},
)  # fmt: skip
enforced(
    "object counts", {"type": "object", "minProperties": 1, "additionalProperties": I},
    {"type": "object", "maxProperties": 2, "additionalProperties": I},
    {"type": "object", "minProperties": 2, "maxProperties": 3, "additionalProperties": S},
)  # fmt: skip
refused(
    "object counts",
    "Properties",
    {
        "type": "object",
        "properties": {"a": S, "b": I, "c": S},
        "minProperties": 2,
        "additionalProperties": False,
    },
)
refused(
    "object", "cannot be enforced while", {"type": "object", "propertyNames": {"minLength": 2}},
    {"type": "object", "propertyNames": {"pattern": "^a"}, "properties": {"abc": S}},
    {"type": "object", "dependentRequired": {"a": ["b"]}}, {"type": "object", "dependentSchemas": {"a": {"required": ["b"]}}},
    {"type": "object", "dependencies": {"a": ["b"]}}, obj(a=S) | {"unevaluatedProperties": False},
    {"not": {"type": "string"}}, {"type": "string", "not": {"const": "x"}}, {"if": {"type": "string"}, "then": {"minLength": 1}},
    {"if": {"properties": {"a": {"const": 1}}}, "else": {"required": ["b"]}}, obj(a={"not": {}}),
)  # fmt: skip
enforced(
    "any of", {"anyOf": [S, I]}, {"anyOf": [obj(a=S), obj(b=I)]}, nullable(S), nullable(obj(a=I)), {"anyOf": [{"const": 1}, {"const": "a"}]},
    {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "integer", "minimum": 100}]}, obj(v={"anyOf": [S, N, B, Z]}),
    {"anyOf": [S]}, {"anyOf": [{"type": "array", "items": I}, I]},
)  # fmt: skip
enforced(
    "one of", {"oneOf": [obj(a=S), obj(a=S, b=I)]}, {"oneOf": [S, I]}, {"oneOf": [obj(kind={"const": "a"}, x=S), obj(kind={"const": "b"}, y=I)]}, {"oneOf": [S, Z]},
    {"oneOf": [{"const": 1}, {"const": 2}]},
    {"oneOf": [{"enum": ["a", 1]}, {"const": "b"}, {"type": "boolean"}]},
    {"$defs": {"A": obj(k={"const": "a"}), "B": obj(k={"enum": ["b", "c"]})}, "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
    {"oneOf": [obj(kind={"const": "a"}), obj(kind={"const": "b"})], "discriminator": {"propertyName": "kind"}},
)  # fmt: skip
refused(
    "one of",
    "oneOf",
    {"oneOf": [obj([], k={"const": "a"}), obj([], k={"const": "b"})]},
)
refused(
    "one of", "oneOf", {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]},
    {"oneOf": [N, I]}, {"oneOf": [{"type": "string", "minLength": 2}, {"type": "string", "maxLength": 4}]},
)  # fmt: skip
enforced(
    "all of",
    {"allOf": [obj(a=S)]},
    {"allOf": [S]},
    {"allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": I}},
)
refused(
    "all of", "allOf", {"allOf": [obj(["a"], True, a=S), obj(["b"], True, b=I)]},
    {"allOf": [{"type": "string", "minLength": 2}, {"maxLength": 3}]}, {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    obj(["a"], True, a=S) | {"allOf": [obj(["b"], True, b=I)]}, {"allOf": [pattern("^a"), pattern("b$")]}, runtime="trt",
)  # fmt: skip
refused(
    "all of",
    "cannot be enforced",
    {"allOf": [S, I]},
    {"type": "integer", "minimum": 5, "maximum": 3},
    {"type": "string", "minLength": 5, "maxLength": 2},
)
LIST = {
    "type": "object",
    "properties": {"v": I, "next": nullable({"$ref": "#"})},
    "required": ["v", "next"],
    "additionalProperties": False,
}
enforced(
    "references", {"$defs": {"a": obj(x=S)}, "$ref": "#/$defs/a"}, obj(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": I}}, LIST,
    {"definitions": {"a": S}, "type": "object", "properties": {"p": {"$ref": "#/definitions/a"}}, "required": ["p"]},
    {"$defs": {"node": obj(v=I, kids=arr({"$ref": "#/$defs/node"}, maxItems=2))}, "$ref": "#/$defs/node"},
    obj(a={"$ref": "#/properties/b"}, b=I), {"$defs": {"a~b": I, "c/d": S}, "anyOf": [{"$ref": "#/$defs/a~0b"}, {"$ref": "#/$defs/c~1d"}]},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": S}, "$ref": "#/$defs/a"}, obj(m={"$ref": "#/$defs/x"}) | {"$defs": {"x": {"enum": ["p", "q"]}}},
)  # fmt: skip
refused(
    "references",
    "leads",
    {"$ref": "http://example.com/a.json"},
    {"$ref": "#/nowhere"},
    {"$ref": "other.json#/a"},
    {"$ref": "#anchor"},
    obj(a={"$ref": "x"}),
)
enforced(
    "references",
    {"$ref": "#/components/schemas/A", "components": {"schemas": {"A": obj(u=HTTP_URL)}}},
)
refused(
    "references",
    "cannot be enforced while",
    {"$dynamicRef": "#x", "$defs": {"x": {"$dynamicAnchor": "x"}}},
    {"$recursiveRef": "#"},
)
enforced(
    "drafts", {"$schema": DRAFT4, "type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"$schema": DRAFT4, "id": "x", "type": "string"},
    {"$schema": DRAFT4, "type": "object", "properties": {"a": {"type": "string", "required": True}}, "additionalProperties": False},
    {"$schema": DRAFT7, "type": "array", "items": [S, I], "additionalItems": False, "minItems": 2}, {"$schema": DRAFT6, "const": 5},
    {"$schema": DRAFT7, "definitions": {"u": HTTP_URL}, **obj(u={"$ref": "#/definitions/u"})}, {"$schema": NEW, "$defs": {"a": I}, "$ref": "#/$defs/a"},
    {"$schema": DRAFT4, "type": "number", "maximum": 3, "exclusiveMaximum": True, "minimum": 0}, {"type": "object", "properties": None},
    {"$schema": DRAFT4, "type": "object", "properties": {"a": I}, "required": None}, {"$schema": DRAFT7, "$id": "http://example.com/s", **obj(a=I)},
    {"type": "integer", "exclusiveMinimum": False, "minimum": 2, "maximum": 3}, {"$schema": DRAFT7, "$comment": "x", "examples": ["y"], **obj(a=B)},
)  # fmt: skip
enforced(
    "annotations", {"type": "string", "title": "T", "description": "D", "default": "x", "examples": ["y"], "deprecated": True},
    {"type": "string", "readOnly": True, "writeOnly": False}, {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
    {"type": "string", "x-order": 3}, {"type": "object", "propertyOrdering": ["a"], "properties": {"a": S}, "required": ["a"], "additionalProperties": False},
    {"type": "object", "properties": {"title": S, "format": S, "pattern": S, "not": S, "if": S}, "required": ["title", "format", "pattern", "not", "if"], "additionalProperties": False},
)  # fmt: skip
refused(
    "options",
    "x-guidance",
    {"x-guidance": {"lenient": True}, "type": "string", "format": "made-up"},
    {"x-guidance": {}, "type": "string"},
)
enforced(
    "pydantic",
    obj(at={"format": "date-time", "title": "At", "type": "string"}, u=HTTP_URL),
    obj(e={"anyOf": [{"format": "email", "type": "string"}, Z]}),
    obj(amount={"anyOf": [{"type": "number"}, pattern(r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$")]}),
    obj(id={"format": "uuid4", "type": "string"}, t={"format": "time", "type": "string"}, d={"format": "duration", "type": "string"}),
    obj(secret={"format": "password", "type": "string", "writeOnly": True}, path={"format": "path", "type": "string"}),
    obj(kind={"const": "a", "default": "a", "type": "string"}, pair={"maxItems": 2, "minItems": 2, "prefixItems": [I, S], "type": "array"}),
    {"$defs": {"Color": {"enum": ["red", "😀"], "title": "Color", "type": "string"}}, **obj(c={"$ref": "#/$defs/Color"}, m={"additionalProperties": I, "type": "object"})},
    obj(data={"anyOf": [{"additionalProperties": True, "type": "object"}, Z], "default": None}, ip={"format": "ipvanyaddress", "type": "string"}),
    {"$defs": {"Cat": obj(t={"const": "cat", "type": "string"}), "Dog": obj(t={"const": "dog", "type": "string"})},
     **obj(p={"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "t"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]})},
)  # fmt: skip
enforced(
    "zod", {"$schema": DRAFT7, **obj(n={"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991})},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", **obj(u={"type": "string", "format": "uri"}, d={"type": "string", "format": "date-time"})},
    {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}}, obj(e={"type": "string", "enum": ["a", "b"]}, l={"type": "string", "const": "x"}),
    obj(x={"anyOf": [S, Z]}, y={"type": "array", "prefixItems": [S, N]}), obj(a={"type": "string", "pattern": "^[a-z]+$", "minLength": 1}),
)  # fmt: skip
enforced(
    "openai strict", obj(name=S, items=arr(obj(id=I, label={"type": ["string", "null"]}))), obj(unit={"type": ["string", "null"], "enum": ["F", "C", None]}),
    obj(steps=arr(obj(explanation=S, output=S)), final_answer=S), {"$defs": {"s": obj(e=S)}, **obj(s=arr({"$ref": "#/$defs/s"}))}, LIST,
    obj(n={"type": "number", "minimum": 0, "maximum": 10}, s={"type": "string", "pattern": "^@[a-z]+$"}, f={"type": "string", "format": "ipv4"}),
)  # fmt: skip
enforced(
    "openapi 3.0", obj(a={"type": "string", "nullable": True}, b={"type": "integer", "format": "int32"}, c={"type": "string", "format": "byte"}),
    obj(n={"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9}, x={"type": "string", "example": "e", "xml": {"name": "x"}}),
)  # fmt: skip


def refused_by_trt(says: str, *schemas: Any) -> None:
    """Rows above that llama.cpp enforces."""
    for schema in schemas:
        (refusals,) = [refusals for _, other, refusals in ROWS if repr(other) == repr(schema)]
        assert not refusals
        refusals["trt"] = says


refused_by_trt("without its type", {"minLength": 2}, {"format": "date"})
refused_by_trt("without a type", {"minimum": 3})
refused_by_trt(
    "a quote, backslash or control",
    pattern("^\\t$"),
    pattern("^\\n$"),
    pattern("^\\\\$"),
    pattern('^"$'),
)
refused_by_trt("alternatives without a group", pattern("^a|b$"))
refused_by_trt(
    "pattern beside", {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 5}
)
refused_by_trt("maximum 18446744073709549568", {"type": "integer", "format": "uint64"})
refused_by_trt("allOf", {"type": "string", "format": "email", "pattern": "@example\\.com$"})
refused_by_trt("format beside a length", {"type": "string", "format": "uuid", "maxLength": 36})
refused_by_trt("the property", obj(**{"a b": S, "": I, 'q"': B}))
refused_by_trt(
    "$ref '#/$defs/a~0b'",
    {"$defs": {"a~b": I, "c/d": S}, "anyOf": [{"$ref": "#/$defs/a~0b"}, {"$ref": "#/$defs/c~1d"}]},
)

STARTS = {
    '{"type": "string", "pattern": "y$"}': b'"xy',
    '{"type": "string", "pattern": "^a|b$"}': b'"xb',
    '{"type": "string", "format": "email"}': b'"a@b.',
    '{"type": "string", "format": "idn-email"}': b'"a@b.',
    '{"type": "string", "format": "email", "pattern": "@example\\\\.com$"}': b'"a@example.com',
    '{"allOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "b$"}]}': b'"ab',
}
"""Of schemas to whose end random characters hardly lead."""
