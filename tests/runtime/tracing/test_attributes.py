"""Our names are those of the conventions' own package."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.tracing.attributes import REQUEST, option_attributes
from gemma4_testing.repository import ROOT

SOURCES = (
    "runtime/gemma4_runtime/tracing/attributes.py",
    "runtime/gemma4_runtime/server/engine_spans.py",
    "clients/gemma4_client/spans.py",
    "clients/gemma4_gateway/spans.py",
)
PACKAGES = [
    "opentelemetry.semconv._incubating.attributes.gen_ai_attributes",
    *(
        f"opentelemetry.semconv.attributes.{name}_attributes"
        for name in ("error", "http", "server", "url")
    ),
]
KNOWN = {
    value
    for package in PACKAGES
    for name, value in vars(import_module(package)).items()
    if name.isupper() and isinstance(value, str)
}
NAME = re.compile(r'"((?:gen_ai|http|url|server|error)\.[a-z_.]+)"')


@pytest.mark.parametrize("source", SOURCES)
def test_names(source: str) -> None:
    found = set(NAME.findall((ROOT / source).read_text(encoding="utf-8")))
    assert found and found <= KNOWN


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, {}),
        ({"temperature": 0.0, "stop_words": ["secret"], "messages": "secret"}, {"temperature": 0.0}),
        ({"random_seed": 2**64 - 1, "max_tokens": 5, "stream": False}, {"max_tokens": 5, "stream": False}),
        ({"random_seed": 2**63 - 1, "top_k": None, "top_p": "x"}, {"seed": 2**63 - 1}),
    ],
)  # fmt: skip
def test_options(options: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert option_attributes(options) == {
        f"gen_ai.request.{name}": value for name, value in attributes.items()
    }


def test_they_are_of_our_inputs() -> None:
    assert set(REQUEST) <= set(INPUT)
