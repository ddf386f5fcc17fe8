"""Requests that are nearly right. Deterministic: the n-th one is always the same."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutated", "mutated"]

_TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}},
}
_USER = {"role": "user", "content": "hi"}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [_USER], "max_tokens": 3, "temperature": 0.5}),
    ("/v1/chat/completions", {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "a"}]},
            _USER,
            {"role": "assistant", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ],
        "tools": [_TOOL], "tool_choice": "auto", "max_tokens": 3, "stop": ["x"], "stream": True,
        "stream_options": {"include_usage": True}, "metadata": {"a": "b"}, "n": 2, "seed": 1,
    }),
    ("/v1/chat/completions", {
        "messages": [_USER], "max_tokens": 3,
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    }),
    ("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 3, "echo": True, "logprobs": 0}),
    ("/v1/responses", {
        "input": [_USER, {"type": "reasoning", "content": []}], "max_output_tokens": 3,
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
        "text": {"format": {"type": "json_object"}}, "stream": True,
    }),
    ("/v1/responses", {"input": "hi", "instructions": "a", "reasoning": {"effort": "none"}}),
    ("/v1/messages", {
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            _USER,
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "a", "signature": "b"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": "1", "is_error": True}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 3, "stream": True,
        "stop_sequences": ["x"], "metadata": {"user_id": "a"},
    }),
    ("/v1/messages/count_tokens", {"messages": [_USER], "system": "a"}),
    ("/tokenize", {"messages": [_USER], "tools": [_TOOL]}),
    ("/tokenize", {"prompt": "hi"}),
    ("/detokenize", {"tokens": [1, 2, 3]}),
]  # fmt: skip

NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**300, -(10**400), 1e308, -0.0, "", "x",
    "\x00", "\x1b[2J", "\n", "\ud800", "\U0001f600", "\ufdd0", "x" * 20_000, "/etc/passwd",
    "<|image|>", "<|turn>", "[" * 200, [], {}, [[]], [None], [1, "a"], {"": None}, {"a": {"b": []}},
    ["x"] * 2000, [{}] * 500, {str(i): i for i in range(300)}, {"$ref": "#"}, [[[[[[[]]]]]]],
]  # fmt: skip
RAW = [
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000, b"-", b"01", b"+1", b"'a'", b"\xff",
    b'"\\ud800"', b'"\\x"', b"[" * 300, b"{" * 300, b"]", b"}", b",", b":", b'"', b"\\", b"\x00",
    b"/*", b"\xef\xbb\xbf", b"tru", b"nul", b'{"a":1,"a":2}',
]  # fmt: skip
NAMES = ["unknown", "model", "messages", "stop", "n", "__proto__", "user", "logit_bias", "a" * 5000]
HEADERS: list[dict[str, str]] = [
    {}, {}, {}, {"x-request-id": "a b\x1b"}, {"x-request-id": "y" * 500}, {"content-type": "x"},
    {"content-encoding": "gzip"}, {"authorization": "Bearer \xff"}, {"accept": "*/*; q=x"},
    {"x-a": "b" * 30_000}, {"x-a": "b" * 70_000}, {"content-type": "application/json; charset=\xe4"},
]  # fmt: skip


@dataclass(frozen=True)
class Mutated:
    path: str
    body: bytes
    headers: dict[str, str]


def mutated(number: int, model: str) -> Mutated:
    dice = random.Random(number)
    path, seed = dice.choice(SEEDS)
    value: Any = json.loads(json.dumps(seed))
    if path.startswith("/v1") or dice.random() < 0.5:
        value["model"] = model
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        value = _change(value, dice)
    body = json.dumps(value).encode()
    for _ in range(dice.choice((0, 0, 0, 1, 3))):
        body = _tear(body, dice)
    headers = {"content-type": "application/json"} | dice.choice(HEADERS)
    return Mutated(path, body, headers)


def _places(value: Any) -> list[tuple[Any, Any]]:
    found = []
    todo = [value]
    while todo:
        container = todo.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list) and len(container[key]) < 100:
                todo.append(container[key])
    return found


def _change(value: Any, dice: random.Random) -> Any:
    """One node replaced, taken away, doubled, or a new one."""
    places = _places(value) if isinstance(value, dict | list) else []
    if not places:
        return dice.choice(NASTY)
    container, key = dice.choice(places)
    kind = dice.randrange(4)
    new = json.loads(json.dumps(dice.choice(NASTY)))
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[dice.choice(NAMES)] = new
    elif kind == 2 and isinstance(container, list):
        container.extend([container[key]] * dice.choice((1, 20, 2000)))
    else:
        container[key] = new
    return value


def _tear(body: bytes, dice: random.Random) -> bytes:
    """Bytes put in, taken out, changed, doubled, or cut off."""
    at = dice.randrange(len(body) + 1)
    to = min(at + dice.randrange(1, 20), len(body))
    kind = dice.randrange(5)
    if kind == 0:
        return body[:at] + dice.choice(RAW) + body[at:]
    if kind == 1:
        return body[:at] + body[to:]
    if kind == 2:
        return body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
    if kind == 3:
        return body[:to] + body[at:]
    return body[:at]
