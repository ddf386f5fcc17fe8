"""Whatever text a user sends in whatever place, every line of every log is one line: one JSON
object, or text that no terminal obeys."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest
from gemma4_client.wire import build_request
from gemma4_gateway.keys import add_key
from gemma4_testing.cases.nasty_text import check, data_of, nasty, posted, raw_http, to_gateway
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.fuzz.send import NotEndedError, Sender
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from tritonclient.grpc import service_pb2

INPUTS = ("text_input", "messages", "tools", "tool_choice", "stop_words", "guided_decoding_guide_type",
          "guided_decoding_guide", "request", "feed", "nothing")  # fmt: skip


def to_triton(served: Served, chance: random.Random) -> None:
    with Sender(served.http, served.grpc) as sender:
        for model in ("engine", "gemma4") * 10:  # they are answered, and their ids are in the log
            fine = {"text_input": nasty(chance).encode("utf-8", "replace").decode(), "max_tokens": 2,
                    "stream": False}  # fmt: skip
            name = nasty(chance).encode("utf-8", "replace").decode()
            request = build_request(fine, request_id=name, model=model)
            assert not sender.stream_bytes([request.SerializeToString()]).error
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
    data: bytes = request.SerializeToString()
    return data


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
    to_gateway(gateway.port, key, chance)
    to_triton(served, chance)
    load = measured(served, tmp_path, form, chance)
    assert gateway.stop() == 0
    assert served.stop() == 0, served.text[-3000:]
    check([line for line in load if not line.startswith(" ")], form, always_json=False)
    assert check(gateway.output[began[0] :], form) > 20
    assert check(served.output[began[1] :], form) > 15
