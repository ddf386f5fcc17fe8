"""The options of ``gemma4 serve`` and ``gemma4 gateway``: which of them docker-compose.yml and the
chart set, which they leave out on purpose and why, and where their values are not the command's."""

from __future__ import annotations

import re
from typing import Any

import typer
from gemma4_cli.main import app

__all__ = ["CHART_ABSENT", "CHART_DEFAULTS", "COMPOSE_ABSENT", "COMPOSE_DEFAULTS", "flags",
           "options", "variables"]  # fmt: skip

_PLAIN = "gateway and Triton are alone on their network, or a NetworkPolicy keeps others away"
_NO_LOOK = "one back end, which the gateway looks at every second"

COMPOSE_ABSENT: dict[str, dict[str, str]] = {
    "gateway": {
        "port": "GATEWAY_PORT publishes 8080 of the container",
        "grace": "stop_grace_period, which no setting can follow, goes with it",
        "drain_delay": "no load balancer that would have to notice is before it",
        "health_interval": _NO_LOOK,
        "dns_interval": "triton is looked up as every host is, not as dns:///",
        "imbalance": "there is one back end",
        "limits_redis_file": "there is one gateway, which shares its limits with nobody",
        **{f"backend_ssl_{name}": _PLAIN for name in ("ca_certs", "certfile", "keyfile", "name")},
    },
    "serve": {
        "http_port": "those of the network inner, which nothing else uses",
        "grpc_port": "as http_port",
        "metrics_port": "as http_port",
        "health_port": "the gateway, whose health a container's is, says it of Triton",
        "slots": "SLOTS and CPU_SLOTS, with which the engine is built",
        "grace": "stop_grace_period, which no setting can follow, goes with it",
        "restarts": "restart: unless-stopped begins where they end",
        "restart_window": "as restarts",
        "gpu_device_ids": "TP GPUs hold one copy; more copies are for the chart",
        "run_dir": "one of its own in /tmp",
        "alias": "only the gateway reaches Triton, and it asks for gemma4",
        "nvidia_ensemble": "as alias",
        "inspection": "perf_analyzer, which it is for, is not in the network inner",
        **{f"ssl_{name}": _PLAIN for name in ("certfile", "keyfile", "ca_certs")},
        "verbose": "for whoever starts Triton by hand",
    },
}
"""Command to option to the reason why docker-compose.yml does not have it."""

COMPOSE_DEFAULTS: dict[str, dict[str, Any]] = {
    "gateway": {
        "host": "0.0.0.0",
        "backend": ["triton:8001"],
        "served_model_name": ["gemma-4"],
        "log_format": "json",
    },
    "serve": {"host": "0.0.0.0", "log_format": "json", "start_timeout": 1800.0},
}
"""Where docker-compose.yml's own value is not the command's: fixed ones, and defaults of .env."""

CHART_ABSENT: dict[str, dict[str, str]] = {
    "gateway": {
        "drain_delay": "preStopSeconds waits before SIGTERM is sent",
        **{f"backend_ssl_{name}": _PLAIN for name in ("ca_certs", "certfile", "keyfile", "name")},
    },
    "serve": {
        "run_dir": "one of its own in /tmp",
        "inspection": "for perf_analyzer, which may run anywhere; extraArgs has it too",
        **{f"ssl_{name}": _PLAIN for name in ("certfile", "keyfile", "ca_certs")},
        "verbose": "for whoever starts Triton by hand; extraArgs has it too",
    },
}
"""Command to option to the reason why the chart has no value for it."""

CHART_DEFAULTS: dict[str, dict[str, Any]] = {
    "gateway": {
        "host": "0.0.0.0",
        "backend": ["dns:///gemma4-triton-headless:8001"],
        "log_format": "json",
        "grace": 120.0,
    },
    "serve": {
        "host": "0.0.0.0", "log_format": "json", "start_timeout": 1800.0, "grace": 120.0,
        "health_port": 8003,
    },
}  # fmt: skip
"""Where the chart's own value is not the command's."""


def options(command: str) -> dict[str, Any]:
    """Return the parameters of typer by name, without --help."""
    found = typer.main.get_group(app).commands[command]
    return {str(p.name): p for p in found.params if p.name != "help"}


def flags(command: str, words: list[Any] | str) -> set[str]:
    """Return the names of the options of ``command`` that ``words`` or a template gives."""
    text = words if isinstance(words, str) else "\n".join(f"- {word}" for word in words)
    given = set(re.findall(r"^\s*- (--[a-z0-9-]+)", text, re.M))
    names = {flag: n for n, p in options(command).items() for flag in (*p.opts, *p.secondary_opts)}
    unknown = given - names.keys()
    assert not unknown, f"{command} has no {sorted(unknown)}"
    return {names[flag] for flag in given}


def variables(command: str, environment: dict[str, Any]) -> set[str]:
    """Return the names of the options of ``command`` that ``environment`` gives."""
    prefix = f"GEMMA4_{command.upper()}_"
    return {n.removeprefix(prefix).lower() for n in environment if n.startswith(prefix)}
