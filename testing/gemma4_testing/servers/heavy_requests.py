"""Short requests beside large ones: how much longer do they wait? For a test and a benchmark."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from gemma4_client import Client

from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT, UNPACED, synthetic_engine
from gemma4_testing.servers.served import Served

__all__ = [
    "Heavy", "directly", "quadratic_engine", "short_direct", "short_ensemble", "through_ensemble",
    "times_of",
]  # fmt: skip

QUADRATIC = """{{ bos_token }}{%- for message in messages -%}
{%- set found = namespace(last=-1) -%}
{%- for other in messages -%}{%- if other.role == 'user' -%}{%- set found.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
<|turn>{{ message.role }}
{{ message.content | trim }}<turn|>
{% endfor -%}<|turn>model
"""  # fmt: skip
"""As a published template of Gemma 4: for each message it looks through all of them."""

_SHORT = json.dumps([{"role": "user", "content": "What is 7 + 8?"}])
_TOOL: dict[str, Any] = {"name": "f", "description": "d"}


@dataclass(frozen=True)
class Ports:
    http: int
    grpc: int


def _tools(parameters: dict[str, Any]) -> str:
    return json.dumps([{"type": "function", "function": _TOOL | {"parameters": parameters}}])


def _requests() -> list[dict[str, str]]:
    many = json.dumps([{"role": "user", "content": "a"}] * 1023)
    properties = {f"p{i}": {"type": "string"} for i in range(9000)}
    return [
        {"messages": _SHORT, "tools": _tools({"type": "object", "allOf": [{}] * 60_000})},
        {"messages": many},
        {"messages": _SHORT, "tools": _tools({"type": "object", "properties": properties})},
        {"text_input": "a b c d " * 15_000},
        {"messages": many},
        {
            "messages": _SHORT,
            "guided_decoding_guide_type": "json_schema",
            "guided_decoding_guide": '{"type":"array","items":{"type":"string"},"minItems":9000}',
        },
    ]


def quadratic_engine(folder: Path) -> Path:
    """A synthetic engine with that template, in ``folder``."""
    checkpoint = folder / "checkpoint"
    shutil.copytree(CHECKPOINT, checkpoint)
    (checkpoint / "chat_template.jinja").write_text(QUADRATIC, encoding="utf-8")
    return synthetic_engine(
        folder / "engine", tokens_per_s=UNPACED, slots=64, checkpoint=checkpoint
    )


class Heavy:
    """While its block runs, a process of its own sends ``rate`` large requests a second by ``way``;
    it waits for no answer."""

    def __init__(self, way: str, served: Served, *, rate: float) -> None:
        """``way``: "ensemble" or "direct"."""
        self._command = [
            sys.executable, "-m", __name__, way, str(served.http), str(served.grpc), str(rate),
        ]  # fmt: skip

    def __enter__(self) -> Heavy:
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(self._command, env=env, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it sends
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _send_for_ever(way: str, ports: Ports, rate: float) -> None:
    call = through_ensemble if way == "ensemble" else directly

    def send(values: dict[str, str]) -> None:
        with suppress(Exception):  # most are refused
            call(ports, values)

    print("sending", flush=True)
    for values in itertools.cycle(_requests()):
        Thread(target=send, args=(values,), daemon=True).start()
        time.sleep(1 / rate)


def times_of(ask: Callable[[], object], seconds: float, *, pause: float = 0.05) -> list[float]:
    """Seconds of each of the short requests that fit into ``seconds``, sorted."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        ask()
        found.append(time.monotonic() - began)
        time.sleep(pause)
    return sorted(found)


def through_ensemble(served: Ports | Served, values: dict[str, str]) -> None:
    """One plain call of ``gemma4`` over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", served.http, timeout=60)
    try:
        connection.request(
            "POST", "/v2/models/gemma4/generate", json.dumps({"max_tokens": 1} | values)
        )
        connection.getresponse().read()
    finally:
        connection.close()


def directly(served: Ports | Served, values: dict[str, str]) -> None:
    """One call of ``engine`` over gRPC, for one token: without that bound its answer is as long as
    the context, which took the synthetic engine 50 s."""
    most = grpcclient.InferInput("max_tokens", [1, 1], "INT32")
    most.set_data_from_numpy(np.array([[1]], dtype=np.int32))
    tensors = [most]
    for name, value in values.items():
        tensor = grpcclient.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value.encode()]], dtype=object))
        tensors.append(tensor)
    over = Event()
    with grpcclient.InferenceServerClient(f"127.0.0.1:{served.grpc}") as client:
        client.start_stream(lambda result, error: over.set())
        client.async_stream_infer("engine", tensors)
        over.wait(60)
        client.stop_stream(cancel_requests=True)


def short_ensemble(served: Served) -> Callable[[], object]:
    return lambda: through_ensemble(served, {"messages": _SHORT})


def short_direct(client: Client) -> Callable[[], object]:
    messages = json.loads(_SHORT)
    return lambda: client.chat(messages, max_tokens=1).result()


if __name__ == "__main__":
    _send_for_ever(sys.argv[1], Ports(int(sys.argv[2]), int(sys.argv[3])), float(sys.argv[4]))
