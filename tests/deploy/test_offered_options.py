"""Every option of ``gemma4 serve`` and ``gemma4 gateway`` can be set in Compose and in the chart, or
is left out for a reason that is written down."""

from __future__ import annotations

import re
from typing import Any

import pytest
from gemma4_testing.deploy.compose_files import ROOT, parse, services
from gemma4_testing.deploy.offered_options import (
    CHART_ABSENT,
    CHART_DEFAULTS,
    COMPOSE_ABSENT,
    COMPOSE_DEFAULTS,
    flags,
    options,
    variables,
)
from gemma4_testing.deploy.rendered_chart import GPU, container_of

SERVICES = {"serve": "triton", "gateway": "gateway"}
NO_OPTION = {"api_key"}
"""GEMMA4_GATEWAY_API_KEY: a key is in no command line, where others could read it."""
TEMPLATES = ROOT / "deploy" / "helm" / "gemma4-triton" / "templates"
COMMANDS = pytest.mark.parametrize("command", SERVICES)


def compose(command: str, **env: str) -> set[str]:
    service = services("*", **env)[SERVICES[command]]
    by_name = variables(command, service.get("environment", {})) - NO_OPTION
    return flags(command, service["command"]) | by_name


@COMMANDS
def test_compose_has_every_option(command: str) -> None:
    variants: list[dict[str, str]] = [{}, {"GPU": "h100"}, {"TLS_FOLDER": "/tls"}]
    offered = set().union(*(compose(command, **env) for env in variants))
    _accounted(command, offered, COMPOSE_ABSENT[command])


@COMMANDS
def test_the_chart_has_every_option(command: str) -> None:
    text = (TEMPLATES / {"serve": "_pod.tpl", "gateway": "_gateway.tpl"}[command]).read_text()
    # An option of the name's own opposite is written --{{ ... }}name.
    offered = flags(command, re.sub(r"--\{\{[^}]*\}\}", "--", text))
    _accounted(command, offered, CHART_ABSENT[command])


def _accounted(command: str, offered: set[str], absent: dict[str, str]) -> None:
    known = options(command).keys()
    forgotten = known - offered - absent.keys()
    assert not forgotten, f"{command}: offer them, or say why not in offered_options.py"
    assert not absent.keys() & offered, "they are there"
    assert offered | absent.keys() <= known, "there are no such options"
    assert all(len(reason.split()) > 1 for reason in absent.values())


@COMMANDS
def test_composes_values_are_the_commands(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = services(GPU="h100")[SERVICES[command]]
    for name, value in service.get("environment", {}).items():
        monkeypatch.setenv(name, "" if value is None else str(value))
    _same_but_for(command, parse(service["command"]), COMPOSE_DEFAULTS[command])


@COMMANDS
def test_the_charts_values_are_the_commands(command: str) -> None:
    args = container_of(GPU, command)[1]["args"]
    _same_but_for(command, parse(args), CHART_DEFAULTS[command])


def _same_but_for(command: str, found: dict[str, Any], other: dict[str, Any]) -> None:
    needed = ["--engine=x"] if command == "serve" else []
    own = parse(["gemma4", command, *needed])
    changed = {n: v for n, v in found.items() if v != own[n] and n != "engine"}
    assert changed == other
