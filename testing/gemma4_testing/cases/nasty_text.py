"""Text that would forge a line of a log, or that a terminal would obey, in every place of a request to
the gateway where a user can put one."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Callable
from typing import Any

from gemma4_testing.servers.running_gateway import MODEL

__all__ = ["check", "data_of", "nasty", "posted", "raw_http", "to_gateway"]

MARK = "zzforged"
"""In every text, so that the lines with it are those that users made."""
FORGED = [
    json.dumps({"time": "2026-01-01T00:00:00Z", "level": "error", "event": MARK}),
    f"00:00:00 ERROR {MARK}",
]
CONTROL = [
    "\n", "\r", "\r\n", "\t", "\0", "\x07", "\x08", "\x7f", "\x85", "\x9b31m", "\x1b[2J", "\x1b]0;t\x07",
    "\x1b[31m", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\U000e0001", "\ud800",
    "\udcff", "\uffff", '"', "\\", "'", " ", "=", "{", "}",
]  # fmt: skip


def nasty(chance: random.Random) -> str:
    parts = [MARK, *chance.choices(CONTROL, k=chance.randint(1, 6)), chance.choice(FORGED)]
    chance.shuffle(parts)
    return "".join(parts)


Place = Callable[[str], dict[str, Any]]


def body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1} | more


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


BODIES: dict[str, Place] = {
    "model": lambda text: body(model=text),
    "user": lambda text: body(user=text),
    "safety_identifier": lambda text: body(safety_identifier=text),
    "metadata": lambda text: body(metadata={text: text}),
    "role": lambda text: body(messages=[{"role": text, "content": "Hi"}]),
    "content": lambda text: body(messages=[{"role": "user", "content": text}]),
    "name": lambda text: body(messages=[{"role": "user", "name": text, "content": "Hi"}]),
    "part": lambda text: body(messages=[{"role": "user", "content": [{"type": text, text: text}]}]),
    "tool": lambda text: body(tools=[tool(text)]),
    "two tools": lambda text: body(tools=[tool(text)] * 2),
    "tool choice": lambda text: body(tool_choice={"type": "function", "function": {"name": text}}),
    "call": lambda text: body(messages=[{"role": "tool", "tool_call_id": text, "content": "x"}]),
    "stop": lambda text: body(stop=[text]),
    "schema": lambda text: body(response_format={"type": "json_schema", "json_schema": {"name": text, "schema": {text: text}}}),
    "format": lambda text: body(response_format={"type": text}),
    "unknown": lambda text: body(**{text: text}),
    "number": lambda text: body(temperature=text),
    "effort": lambda text: body(reasoning_effort=text),
}  # fmt: skip
HEADERS = ("x-request-id", "authorization", "x-api-key", "user-agent", "traceparent", "tracestate",
           "baggage", "content-type", "accept", "origin", "host", "content-length", "expect")  # fmt: skip


def data_of(text: str) -> bytes:
    """As it may come: UTF-8 with surrogates and all."""
    return text.encode("utf-8", "surrogatepass")


def raw_http(port: int, data: bytes) -> None:
    """Send bytes as they are: no library would."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        while line.recv(65536):
            pass


def posted(path: bytes, sent: bytes, key: str, headers: dict[str, bytes]) -> bytes:
    usual = {
        "host": b"x",
        "authorization": f"Bearer {key}".encode(),
        "content-type": b"application/json",
        "content-length": str(len(sent)).encode(),
        "connection": b"close",
    }
    lines = [f"{name}: ".encode() + value for name, value in (usual | headers).items()]
    head = b"POST " + path + b" HTTP/1.1\r\n" + b"\r\n".join(lines)
    return head + b"\r\n\r\n" + sent


def to_gateway(port: int, key: str, chance: random.Random) -> None:
    fine = json.dumps(body()).encode()
    chat = b"/v1/chat/completions"
    for place in BODIES.values():
        for route in (chat, b"/v1/messages", b"/v1/responses"):
            raw_http(port, posted(route, json.dumps(place(nasty(chance))).encode(), key, {}))
        raw = data_of(json.dumps(place(nasty(chance)), ensure_ascii=False))
        raw_http(port, posted(chat, raw, key, {}))
    for name in HEADERS:
        for _ in range(3):
            raw_http(port, posted(chat, fine, key, {name: data_of(nasty(chance))}))
    for _ in range(10):
        text = data_of(nasty(chance))
        raw_http(port, posted(b"/" + text, fine, key, {}))
        raw_http(port, posted(chat, text, key, {}))
        raw_http(port, text + b"\r\n\r\n")
        quoted = "".join(f"%{byte:02x}" for byte in text).encode()
        raw_http(port, posted(b"/v1/models/" + quoted, fine, key, {}))
        raw_http(port, b"GET /v1/models/" + quoted + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer " + key.encode() + b"\r\n\r\n")  # fmt: skip


def check(lines: list[str], form: str, *, always_json: bool = True) -> int:
    """Check every line; return how many speak of what users sent. ``always_json``: with the form
    json, all of them that do are objects."""
    marked = 0
    for line in lines:
        assert line.endswith("\n")
        text = line[:-1]
        assert text.isprintable(), repr(text)
        if form == "json" and text.startswith("{"):
            fields = json.loads(text)
            assert fields["event"] != MARK and isinstance(fields["time"], str)
        elif form == "json" and always_json:
            assert MARK not in text, repr(text)
        else:
            assert not text.startswith(f"00:00:00 ERROR {MARK}"), repr(text)
        marked += MARK in text
    return marked
