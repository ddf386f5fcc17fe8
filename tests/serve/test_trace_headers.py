"""Triton passes headers on only where spans are asked for."""

from __future__ import annotations

import re

import pytest
from gemma4_serve.trace_headers import trace_arguments

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    "env", [{}, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_TRACES_EXPORTER": "zipkin"}]
)
def test_not_for_nothing(env: dict[str, str]) -> None:
    assert trace_arguments(env) == []


def test_these_two_and_no_other() -> None:
    found = trace_arguments(ENDPOINT)
    assert [argument.split("=", 1)[0] for argument in found] == [
        "--http-header-forward-pattern", "--grpc-header-forward-pattern",
    ]  # fmt: skip
    for argument in found:
        pattern = argument.split("=", 1)[1]
        matching = ("traceparent", "Traceparent", "TRACESTATE")
        others = ("x-traceparent", "traceparents", "authorization", "baggage", "")
        assert all(re.search(pattern, name) for name in matching)
        assert not any(re.search(pattern, name) for name in others)
