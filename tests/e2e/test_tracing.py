"""A request gives one trace, from gateway to engine, at a real receiver of OTLP."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from gemma4_client import Client, InvalidRequestError
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.fakes.collector import Collector, ReceivedSpan, collector, tree
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway, chat
from gemma4_testing.servers.served import Served
from opentelemetry.sdk.trace import TracerProvider

PHASES = ["prepare", "queue", "prefill", "decode"]
ENGINE_MODEL = "gemma-4-demo"
CLOCKS_NS = 3_000_000
"""Between the clocks of two processes: each reads the time after what it measures."""


LATE_NS = 500_000_000
"""Whoever sends the last chunk notes the end after that, when the reader may have ended already."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with collector() as made:
        yield made


@pytest.fixture(scope="module")
def traced(
    receiver: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, RunningGateway]]:
    folder = tmp_path_factory.mktemp("traced")
    synthetic_engine(folder / "engine", tokens_per_s=200, slots=8, prefill_tokens_per_s=1000)
    served = Served(folder / "engine", folder / "run", "--nvidia-ensemble", env=receiver.env)
    gateway = RunningGateway(served.grpc, env=receiver.env)
    yield served, gateway
    assert gateway.stop() == 0
    assert served.stop() == 0


def parent() -> tuple[str, str, str]:
    """A trace, a span, and the header that says them."""
    trace_id, span_id = token_hex(16), token_hex(8)
    return trace_id, span_id, f"00-{trace_id}-{span_id}-01"


def engine_spans(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    """The engine's part, which every way of asking gives."""
    (whole,) = (s for s in spans if s.kind == "server" and s.service == "gemma4-triton")
    parts = sorted(
        (s for s in spans if s.parent_id == whole.span_id), key=lambda s: PHASES.index(s.name)
    )
    assert [part.name for part in parts] == PHASES
    assert parts[0].start == whole.start and parts[-1].end <= whole.end
    assert all(one.end == other.start for one, other in pairwise(parts))
    return [whole, *parts]


def post(url: str, body: dict[str, Any], **headers: str) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read().decode()


def inside(inner: ReceivedSpan, outer: ReceivedSpan) -> bool:
    return outer.start - CLOCKS_NS <= inner.start <= inner.end <= outer.end + LATE_NS


@pytest.mark.parametrize("stream", [False, True])
def test_one_chat_is_one_trace(
    receiver: Collector, traced: tuple[Served, RunningGateway], stream: bool
) -> None:
    served, gateway = traced
    trace_id, span_id, header = parent()
    body = chat("Hello", stream=stream, max_tokens=20, min_tokens=20, seed=7, temperature=0.5)
    with gateway.http() as http:
        reply = http.post(
            "/v1/chat/completions",
            json=body,
            headers={"traceparent": header, "tracestate": "vendor=1", "x-request-id": "one-chat"},
        )
    assert reply.status_code == 200
    names = {"POST /v1/chat/completions": 1, f"chat {MODEL}": 1, "decode": 1, "queue": 1}
    receiver.wait_for(names, trace_id=trace_id)
    spans = receiver.trace(trace_id)
    print("\n" + tree(spans))
    assert len(spans) == 7
    (http_span,) = (s for s in spans if s.name.startswith("POST"))
    (call,) = (s for s in spans if s.kind == "client")
    whole, *phases = engine_spans(spans)
    assert http_span.parent_id == span_id and http_span.state == call.state == "vendor=1"
    assert call.parent_id == http_span.span_id and whole.parent_id == call.span_id
    assert inside(call, http_span) and inside(whole, call)
    assert not any(span.failed for span in spans)
    assert http_span.service == call.service == "gemma4-gateway"
    assert http_span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "gemma4.request_id": "one-chat",
    }
    assert call.attributes["server.port"] == served.grpc
    for span in (call, whole):
        told = span.attributes
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.provider.name"] == "triton"
        assert told["gen_ai.request.temperature"] == 0.5
        assert told["gen_ai.request.max_tokens"] == 20
        assert told["gen_ai.request.seed"] == 7
        assert told["gen_ai.usage.output_tokens"] == 20
        assert told["gen_ai.usage.input_tokens"] > 3
        assert told["gen_ai.response.finish_reasons"] == ["length"]
        assert told["gemma4.request_id"] == "one-chat"
    assert call.attributes["gen_ai.request.model"] == MODEL
    # 20 tokens at 200/s, and the pace is the decode's; a first token that comes late makes it short.
    assert 90 < sum(phase.milliseconds for phase in phases[-2:]) < 1000
    assert phases[-1].milliseconds > 50
    for log, made in ((served, whole), (gateway, http_span)):
        log.wait_for(made.span_id)
        (line,) = (json.loads(text) for text in log.output if made.span_id in text)
        assert (line["event"], line["trace_id"]) == ("request", trace_id)


WAYS = [
    "HTTP header",
    "HTTP field",
    "gRPC header",
    "unary",
    "nvidia",
    "SDK",
    "SDK over HTTP",
    "SDK's tracer",
]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_the_engine(
    receiver: Collector, traced: tuple[Served, RunningGateway], way: str
) -> None:
    served, _ = traced
    trace_id, span_id, header = parent()
    models = f"http://127.0.0.1:{served.http}/v2/models"
    body = {"text_input": "Hi", "max_tokens": 3, "min_tokens": 3}
    if way == "HTTP header":
        ask_unary(models, {}, Traceparent=header, TRACESTATE="a=1")
    elif way == "HTTP field":
        post(f"{models}/gemma4/generate_stream", body | {"traceparent": header})
    elif way == "gRPC header":
        ask_ensemble(served, header)
    elif way == "unary":
        ask_unary(models, {"traceparent": header})
    elif way == "nvidia":
        asked = {"text_input": "Hi", "max_tokens": 3}
        post(f"{models}/ensemble/generate", asked | {"traceparent": header})
    else:
        span_id = ask_with_sdk(served, way, trace_id, span_id, header)
    receiver.wait_for({"decode": 1, "queue": 1, "prefill": 1, "prepare": 1}, trace_id=trace_id)
    whole, *_ = engine_spans(receiver.trace(trace_id))
    assert whole.parent_id == span_id
    if way == "HTTP header":
        assert whole.state == "a=1"


def ask_ensemble(served: Served, header: str) -> None:
    import tritonclient.grpc as triton
    from gemma4_client.wire import build_request

    message = build_request({"text_input": "Hi", "max_tokens": 3, "stream": False}, model="gemma4")
    with triton.InferenceServerClient(f"127.0.0.1:{served.grpc}") as client:
        call = client._client_stub.ModelStreamInfer(
            iter([message]), metadata=[("traceparent", header)]
        )
        assert not any(reply.error_message for reply in call)


def ask_unary(models: str, parameters: dict[str, str], **headers: str) -> None:
    def tensor(name: str, kind: str, value: Any) -> dict[str, Any]:
        return {"name": name, "datatype": kind, "shape": [1, 1], "data": [value]}

    inputs = [tensor("text_input", "BYTES", "Hi"), tensor("max_tokens", "INT32", 3)]
    asked = {"inputs": inputs, "parameters": parameters}
    post(f"{models}/gemma4_unary/infer", asked, **headers)


def ask_with_sdk(served: Served, way: str, trace_id: str, span_id: str, header: str) -> str:
    url = f"http://127.0.0.1:{served.http}" if "HTTP" in way else f"127.0.0.1:{served.grpc}"
    tracer = TracerProvider().get_tracer("test") if "tracer" in way else None
    with Client(url, tracer=tracer) as client:
        stream = client.chat("Hi", max_tokens=3, headers={"traceparent": header})
        stream.result()
        if tracer is None:
            assert stream.span is None
            return span_id
        span: Any = stream.span
    assert f"{span.get_span_context().trace_id:032x}" == trace_id
    assert f"{span.parent.span_id:016x}" == span_id
    assert span.attributes["gen_ai.usage.output_tokens"] > 0 and span.end_time
    return f"{span.get_span_context().span_id:016x}"


BROKEN = [
    "",
    "x",
    "00-0-0-00",
    f"00-{'0' * 32}-{'1' * 16}-01",
    "00-" + "f" * 2000,
    "ÿþ".encode().decode("latin-1"),
]


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_context_is_none_and_no_error(
    traced: tuple[Served, RunningGateway], value: str
) -> None:
    served, gateway = traced
    with gateway.http() as http:
        headers = [(b"traceparent", value.encode("latin-1")), (b"tracestate", b"\xff=,,;")]
        reply = http.post("/v1/chat/completions", json=chat("Hi", max_tokens=1), headers=headers)
        assert reply.status_code == 200, reply.text
        double = [("traceparent", parent()[2])] * 2
        reply = http.post("/v1/chat/completions", json=chat("Hi", max_tokens=1), headers=double)
        assert reply.status_code == 200, reply.text
    body = {"text_input": "Hi", "max_tokens": 1}
    url = f"http://127.0.0.1:{served.http}/v2/models/gemma4/generate"
    assert "text_output" in post(url, body | {"traceparent": value, "tracestate": value})
    if value.isascii():
        assert "text_output" in post(url, body, traceparent=value, tracestate=value)


def test_what_was_refused_or_left(
    receiver: Collector, traced: tuple[Served, RunningGateway]
) -> None:
    served, gateway = traced
    trace_id, _, header = parent()
    with gateway.http(headers={"traceparent": header}) as http:
        assert http.post("/v1/chat/completions", json=chat("Hi", max_tokens=-1)).status_code == 400
        assert http.get("/nowhere/secret").status_code == 404
        with http.stream(
            "POST",
            "/v1/chat/completions",
            json=chat("Hi", stream=True, min_tokens=1500, max_tokens=1500),
        ) as reply:
            next(reply.iter_lines())
    names = {"POST /v1/chat/completions": 2, "GET": 1, "decode": 1}
    receiver.wait_for(names, trace_id=trace_id)
    refused, left = sorted(
        (s for s in receiver.trace(trace_id) if s.name.startswith("POST")), key=lambda s: s.start
    )
    assert refused.attributes["http.response.status_code"] == 400 and not refused.failed
    assert "http.response.status_code" not in left.attributes and not left.failed
    (whole,) = (
        s for s in receiver.trace(trace_id) if s.service == "gemma4-triton" and s.kind == "server"
    )
    assert whole.attributes["error.type"] == "client_cancelled" and not whole.failed
    with served.client() as client, pytest.raises(InvalidRequestError):
        client.chat("Hi", max_tokens=-1, headers={"traceparent": header}).result()


def test_many_at_once_keep_their_traces(
    receiver: Collector, traced: tuple[Served, RunningGateway]
) -> None:
    """With feeds: each request stays in its own trace."""
    _, gateway = traced
    parents = [parent() for _ in range(40)]

    def ask(header: str) -> int:
        with gateway.http() as http:
            body = chat("Hi", stream=True, max_tokens=30, min_tokens=30)
            return http.post(
                "/v1/chat/completions", json=body, headers={"traceparent": header}
            ).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, [header for _, _, header in parents])) == {200}
    for trace_id, _, _ in parents:
        receiver.wait_for({"decode": 1, "POST /v1/chat/completions": 1}, trace_id=trace_id)
        spans = receiver.trace(trace_id)
        assert len(spans) == 7
        engine_spans(spans)


def test_the_metrics_count_them(receiver: Collector, traced: tuple[Served, RunningGateway]) -> None:
    served, gateway = traced
    for port, name in (
        (served.metrics, "gemma4_trace_spans_total"),
        (gateway.port, "gemma4_gateway_trace_spans"),
    ):
        end = time.monotonic() + 20
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
                lines = [
                    line for line in reply.read().decode().splitlines() if line.startswith(name)
                ]
            found = {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}
            if found.get("exported", 0) > 0:
                break
            assert time.monotonic() < end, found
        assert found.get("failed", 0) == found.get("dropped", 0) == 0


@pytest.mark.parametrize("how", ["hangs", "refuses", "away"])
def test_a_collector_that_is_down_disturbs_nothing(tmp_path: Path, how: str) -> None:
    synthetic_engine(tmp_path / "engine", tokens_per_s=200, slots=8)
    with collector() as receiver:
        receiver.hangs = how == "hangs"
        receiver.status = 503
        if how == "away":
            receiver.close()
        served = Served(tmp_path / "engine", tmp_path / "run", env=receiver.env)
        gateway = RunningGateway(served.grpc, env=receiver.env)
        with gateway.http() as http:
            for _ in range(20):
                began = time.monotonic()
                assert (
                    http.post("/v1/chat/completions", json=chat("Hi", max_tokens=2)).status_code
                    == 200
                )
                assert time.monotonic() - began < 2
        began = time.monotonic()
        assert gateway.stop() == 0
        assert served.stop() == 0
        assert time.monotonic() - began < 15
    lines = [json.loads(line) for line in (*gateway.output, *served.output) if line.startswith("{")]
    about = [line for line in lines if "opentelemetry" in str(line.get("logger"))]
    assert len(about) <= 60
