"""Whatever text a user sends in whatever place, every line of every log is one line: one JSON
object, or text that no terminal obeys."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_gateway.keys import add_key
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.fuzz.send import NotEndedError, Sender
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from tritonclient.grpc import service_pb2

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
INPUTS = ("text_input", "messages", "tools", "tool_choice", "stop_words", "guided_decoding_guide_type",
          "guided_decoding_guide", "request", "feed", "nothing")  # fmt: skip


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
    return b"POST " + path + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + sent


def to_gateway(gateway: RunningGateway, key: str, chance: random.Random) -> None:
    fine = json.dumps(body()).encode()
    chat = b"/v1/chat/completions"
    for place in BODIES.values():
        for route in (chat, b"/v1/messages", b"/v1/responses"):
            raw_http(
                gateway.port, posted(route, json.dumps(place(nasty(chance))).encode(), key, {})
            )
        raw = data_of(json.dumps(place(nasty(chance)), ensure_ascii=False))
        raw_http(gateway.port, posted(chat, raw, key, {}))
    for name in HEADERS:
        for _ in range(3):
            raw_http(gateway.port, posted(chat, fine, key, {name: data_of(nasty(chance))}))
    for _ in range(10):
        text = data_of(nasty(chance))
        raw_http(gateway.port, posted(b"/" + text, fine, key, {}))
        raw_http(gateway.port, posted(chat, text, key, {}))
        raw_http(gateway.port, text + b"\r\n\r\n")
        quoted = "".join(f"%{byte:02x}" for byte in text).encode()
        raw_http(gateway.port, posted(b"/v1/models/" + quoted, fine, key, {}))
        raw_http(gateway.port, b"GET /v1/models/" + quoted + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer " + key.encode() + b"\r\n\r\n")  # fmt: skip


def to_triton(served: Served, chance: random.Random) -> None:
    with Sender(served.http, served.grpc) as sender:
        for name in INPUTS:
            for model in ("gemma4", "engine", "preprocessing", "ensemble", nasty(chance)):
                text = nasty(chance)
                message = message_of(model, name, data_of(text), chance)
                with contextlib.suppress(NotEndedError):
                    sender.stream_bytes([message])
                fields = {"id": text, name: text, text: text, "traceparent": text}
                path = f"/v2/models/{'gemma4' if model not in ('gemma4', 'ensemble') else model}"
                with contextlib.suppress(NotEndedError):
                    sender.post(f"{path}/generate", json.dumps(fields).encode(), {})
    for _ in range(10):
        quoted = "".join(f"%{byte:02x}" for byte in data_of(nasty(chance))).encode()
        raw_http(served.http, posted(b"/v2/models/" + quoted + b"/generate", b"{}", "", {}))
        raw_http(served.http, posted(b"/" + data_of(nasty(chance)), b"{}", "", {}))
        raw_http(served.http, data_of(nasty(chance)))
        headers = {"traceparent": data_of(nasty(chance)), "tracestate": data_of(nasty(chance))}
        raw_http(
            served.http, posted(b"/v2/models/gemma4/generate", b'{"text_input":"x"}', "", headers)
        )


def message_of(model: str, name: str, value: bytes, chance: random.Random) -> bytes:
    """A request with nasty id, parameters and input; as protobuf allows, so without surrogates."""

    def clean(text: str) -> str:
        return text.encode("utf-8", "replace").decode()

    request = service_pb2.ModelInferRequest(model_name=clean(model), id=clean(nasty(chance)))
    tensor = request.inputs.add(name=name, datatype="BYTES")
    tensor.shape.extend([1, 1])
    request.raw_input_contents.append(len(value).to_bytes(4, "little") + value)
    for parameter in (clean(nasty(chance)), "traceparent", "gemma4_key", "gemma4_feed"):
        if chance.random() < 0.5:
            request.parameters[parameter].string_param = clean(nasty(chance))
    return request.SerializeToString()


def measured(served: Served, folder: Path, form: str, chance: random.Random) -> list[str]:
    """What a load test prints whose prompts are nasty."""
    trace = folder / "trace.jsonl"
    rows = [
        {
            "timestamp": n,
            "output_length": 2,
            "messages": [{"role": "user", "content": nasty(chance)}],
        }
        for n in range(20)
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    load = Command(
        "load", "--url", f"127.0.0.1:{served.grpc}", "--trace", str(trace), "--log-format", form,
        "--out", str(folder / "out"), until="",
    )  # fmt: skip
    load.process.wait(120)
    return load.output


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


@pytest.mark.parametrize("form", ["json", "text"])
def test_of_server_gateway_and_load(tmp_path: Path, form: str) -> None:
    chance = random.Random(f"nasty {form}")
    synthetic_engine(tmp_path / "engine", tokens_per_s=1000, slots=8)
    key = add_key(tmp_path / "keys.json", "team-a")
    args = ("--log-format", form)
    served = Served(tmp_path / "engine", tmp_path / "run", "--nvidia-ensemble", *args)
    gateway = RunningGateway(
        served.grpc, args=(*args, "--api-keys-file", str(tmp_path / "keys.json"))
    )
    began = len(gateway.output), len(served.output)
    to_gateway(gateway, key, chance)
    to_triton(served, chance)
    load = measured(served, tmp_path, form, chance)
    assert gateway.stop() == 0
    assert served.stop() == 0, served.text[-3000:]
    check([line for line in load if not line.startswith(" ")], form, always_json=False)
    assert check(gateway.output[began[0] :], form) > 50
    assert check(served.output[began[1] :], form) > 10
