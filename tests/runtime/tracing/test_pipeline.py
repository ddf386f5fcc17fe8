"""When spans are sent, and what happens when they cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gemma4_runtime.tracing.environment import TracingError, exporter_protocol, wants_traces
from gemma4_runtime.tracing.pipeline import SpanPipeline, open_pipeline
from gemma4_testing.fakes.collector import Collector, collector

HERE = "http://127.0.0.1:4318"
ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
ASKED: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({ENDPOINT: ""}, False),
    ({ENDPOINT: HERE}, True),
    ({TRACES_ENDPOINT: HERE}, True),
    ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, False),
    ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
    ({ENDPOINT: HERE, "OTEL_TRACES_EXPORTER": "none"}, False),
    ({ENDPOINT: HERE, "OTEL_TRACES_EXPORTER": " OTLP "}, True),
    ({ENDPOINT: HERE, "OTEL_SDK_DISABLED": "true"}, False),
    ({ENDPOINT: HERE, "OTEL_SDK_DISABLED": "false"}, True),
]
WRONG = [
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier pigeon"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
    *(("OTEL_BSP_MAX_QUEUE_SIZE", value) for value in ("0", "²", "9" * 5000, "1_000", "+5")),
]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as made:
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.mark.parametrize(("env", "asked"), ASKED)
def test_when(env: dict[str, str], asked: bool) -> None:
    assert wants_traces(env) == asked


def test_the_protocol_of_traces_goes_first() -> None:
    both = {"OTEL_EXPORTER_OTLP_PROTOCOL": "x", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    assert exporter_protocol(both) == "grpc"
    assert exporter_protocol({}) == "http/protobuf"


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_is_wrong_is_said_and_served_without(name: str, value: str) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    env = {ENDPOINT: HERE, name: value}
    assert open_pipeline("s", log=lambda event, **more: told.append((event, more)), env=env) is None
    ((event, fields),) = told
    assert event == "tracing_off" and fields["level"] == "warning"
    assert name in fields["reason"] and value in fields["reason"]


def test_grpc_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc", None)
    with pytest.raises(TracingError, match="opentelemetry-exporter-otlp-proto-grpc"):
        SpanPipeline("s", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    told: list[str] = []
    env = {ENDPOINT: HERE}
    assert open_pipeline("s", log=lambda _, **more: told.append(more["reason"]), env=env) is None
    assert "otel" in told[0] and "pip install" in told[0]


@pytest.mark.parametrize("names", [{}, {"OTEL_SERVICE_NAME": "mine"}])
def test_the_service_has_a_name(
    receiver: Collector, monkeypatch: pytest.MonkeyPatch, names: dict[str, str]
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    pipeline = SpanPipeline("gemma4-gateway", receiver.env)
    pipeline.tracer.start_span("x").end()
    pipeline.close()
    assert receiver.spans[0].service == names.get("OTEL_SERVICE_NAME", "gemma4-gateway")


def test_a_refusing_collector_is_counted(receiver: Collector) -> None:
    receiver.status = 400
    pipeline = SpanPipeline("s", receiver.env)
    for _ in range(10):
        pipeline.tracer.start_span("x").end()
    pipeline.close()
    assert pipeline.counts.failed == 10 and pipeline.counts.exported == 0


def test_a_hanging_collector_holds_up_no_end(receiver: Collector) -> None:
    receiver.hangs = True
    pipeline = SpanPipeline("s", receiver.env)
    pipeline.tracer.start_span("x").end()
    began = time.monotonic()
    pipeline.close()
    assert time.monotonic() - began < 4
    assert not receiver.spans


def test_who_does_not_ask_imports_nothing() -> None:
    """Of the SDK; FastAPI imports the API by itself."""
    code = (
        "import json, sys\n"
        "import gemma4_client, gemma4_runtime.server.engine\n"
        "api = sorted(name for name in sys.modules if name.startswith('opentelemetry'))\n"
        "from gemma4_gateway.app import create_asgi\n"
        "from gemma4_gateway.gateway import Gateway\n"
        "from gemma4_gateway.access_log import Log\n"
        "from gemma4_gateway.settings import Settings\n"
        "create_asgi(Gateway(Settings(), Log('json')))\n"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter', 'requests')\n"
        "print(json.dumps([api, [name for name in sys.modules if name.startswith(parts)]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]
