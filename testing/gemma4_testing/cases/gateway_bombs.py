"""Bodies that are small to send and dear to check. Each has a size, so that it can be a large one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["BOMBS", "PATHS", "Bomb", "bombs"]

USER = b'{"role":"user","content":"hi"}'
BASES = {
    "/v1/chat/completions": b'"model":"m","messages":[' + USER + b"]",
    "/v1/completions": b'"model":"m","prompt":"hi"',
    "/v1/responses": b'"model":"m","input":"hi"',
    "/v1/messages": b'"model":"m","max_tokens":1,"messages":[' + USER + b"]",
    "/tokenize": b'"prompt":"hi"',
    "/detokenize": b'"model":"m"',
}
PATHS = list(BASES)


@dataclass(frozen=True)
class Bomb:
    """``make(size)`` is the body of about ``size`` bytes."""

    path: str
    name: str
    make: Callable[[int], bytes]


def _list(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * max(size // (len(item) + 1), 1)) + b"]"


def _object(size: int) -> bytes:
    return json.dumps({f"k{i}": 0 for i in range(size // 12)}).encode()


def _deep(opened: bytes, closed: bytes, size: int) -> bytes:
    depth = size // (len(opened) + len(closed))
    return opened * depth + b"0" + closed * depth


VALUES: dict[str, Callable[[int], bytes]] = {
    "[{}, ...]": lambda size: _list(b"{}", size),
    "[[], ...]": lambda size: _list(b"[]", size),
    "[0, ...]": lambda size: _list(b"0", size),
    '["", ...]': lambda size: _list(b'""', size),
    '["a", ...]': lambda size: _list(b'"a"', size),
    "[null, ...]": lambda size: _list(b"null", size),
    '[{"role": "user"}, ...]': lambda size: _list(USER, size),
    '[{"type": "text"}, ...]': lambda size: _list(b'{"type":"text","text":"a"}', size),
    '[{"type": "function"}, ...]': lambda size: _list(
        b'{"type":"function","name":"f","function":{"name":"f"}}', size
    ),
    "{many names}": _object,
    "deep lists": lambda size: _deep(b"[", b"]", size),
    "deep objects": lambda size: _deep(b'{"a":', b"}", size),
    "long numbers": lambda size: _list(b"9" * 4000, size),
    "one number": lambda size: b"9" * size,
    "many 1e400": lambda size: _list(b"1e400", size),
    "long text": lambda size: b'"' + b"x" * size + b'"',
    "escapes": lambda size: b'"' + b"\\n" * (size // 2) + b'"',
    "lone surrogates": lambda size: b'"' + b"\\ud800" * (size // 6) + b'"',
    "commas in text": lambda size: b'"' + b",[{" * (size // 3) + b'"',
    "quotes in text": lambda size: b'"' + b'\\"' * (size // 2),
}
"""Where a value goes; the last one is never closed."""

FIELDS = {
    "/v1/chat/completions": (
        "messages", "tools", "stop", "bad_words", "metadata", "logit_bias", "stream_options",
        "structured_outputs", "response_format", "tool_choice", "model", "unknown",
    ),
    "/v1/completions": ("prompt", "stop", "bad_words", "logit_bias", "response_format", "unknown"),
    "/v1/responses": (
        "input", "tools", "include", "metadata", "text", "reasoning", "instructions", "unknown",
    ),
    "/v1/messages": (
        "messages", "system", "tools", "tool_choice", "stop_sequences", "metadata", "cache_control",
        "output_config", "context_management", "mcp_servers", "unknown",
    ),
    "/tokenize": ("prompt", "messages", "tools", "chat_template_kwargs", "unknown"),
    "/detokenize": ("tokens", "unknown"),
}  # fmt: skip

NESTED = {
    "/v1/chat/completions": (
        b'"messages":[{"role":"user","content":%s}]',
        b'"messages":[{"role":"assistant","tool_calls":%s}]',
        b'"messages":[{"role":"assistant","annotations":%s}]',
        b'"messages":[{"role":"user","content":[{"type":"text","text":%s}]}]',
        b'"tools":[{"type":"function","function":{"name":"f","parameters":%s}}]',
        b'"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":%s}}',
        b'"structured_outputs":{"choice":%s}',
        b'"structured_outputs":{"json":%s}',
    ),
    "/v1/responses": (
        b'"input":[{"role":"user","content":%s}]',
        b'"input":[{"type":"reasoning","content":%s}]',
        b'"tools":[{"type":"function","name":"f","parameters":%s}]',
        b'"text":{"format":{"type":"json_schema","name":"a","schema":%s}}',
    ),
    "/v1/messages": (
        b'"max_tokens":1,"messages":[{"role":"user","content":%s}]',
        b'"max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result",'
        b'"tool_use_id":"a","content":%s}]}]',
        b'"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a",'
        b'"name":"f","input":{"a":%s}}]}]',
        b'"max_tokens":1,"tools":[{"name":"f","input_schema":{"a":%s}}]',
    ),
    "/tokenize": (b'"messages":[{"role":"user","content":%s}]',),
}


def _in_field(path: str, field: str, value: Callable[[int], bytes]) -> Callable[[int], bytes]:
    base = BASES[path]
    if field in ("messages", "prompt", "input", "model"):
        base = b'"model":"m"' if field != "model" else b'"messages":[' + USER + b"]"
    if path in ("/tokenize", "/detokenize"):
        base = b'"model":"m"' if field != "unknown" else BASES[path]
    return lambda size: b"{" + base + b',"%s":%s}' % (field.encode(), value(size))


def _nested(form: bytes, value: Callable[[int], bytes]) -> Callable[[int], bytes]:
    before, after = form.split(b"%s")
    return lambda size: b'{"model":"m",' + before + value(size) + after + b"}"


def bombs() -> Iterator[Bomb]:
    """Every kind of value in every place that takes a list, an object or a text."""
    for path in PATHS:
        for kind, value in VALUES.items():
            yield Bomb(path, f"body = {kind}", value)
            for field in FIELDS[path]:
                yield Bomb(path, f"{field} = {kind}", _in_field(path, field, value))
            for form in NESTED.get(path, ()):
                yield Bomb(path, f"{form.decode()} = {kind}", _nested(form, value))


BOMBS = list(bombs())
