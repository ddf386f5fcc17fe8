"""docker-compose.yml as Compose reads it: variables, then ``extends``, then profiles."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import typer
import yaml
from gemma4_cli.main import app

__all__ = ["COMPOSE_FILES", "ROOT", "VARIABLE", "load", "parse", "services"]

ROOT = Path(__file__).parents[3]
COMPOSE_FILES = (
    "docker-compose.yml",
    "deploy/compose/triton.yml",
    "deploy/compose/triton.gpu.yml",
    "deploy/compose/gateway.yml",
    "deploy/compose/gateway.tls.yml",
)
VARIABLE = re.compile(r"\$\{(\w+)(?::([-+])([^}]*))?\}")
"""${NAME}, ${NAME:-default} and ${NAME:+instead}: no other form is in the files."""


def _interpolate(text: str, env: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        given = env.get(name, "")
        return (rest if given else "") if kind == "+" else given or rest or ""

    assert text.count("${") == len(VARIABLE.findall(text))
    return VARIABLE.sub(value, text)


def load(path: str, env: dict[str, str]) -> dict[str, Any]:
    """A copy of one file with the variables of ``env``."""
    return copy.deepcopy(_parsed(_interpolate((ROOT / path).read_text(), env)))


_parsed = functools.lru_cache(yaml.safe_load)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = base.keys() & over.keys()
    deeper: dict[str, Any] = {
        k: _merge(base[k], over[k]) for k in both if isinstance(base[k], dict)
    }
    if "volumes" in both:
        deeper["volumes"] = [*base["volumes"], *over["volumes"]]
    return {**base, **over, **deeper}


def services(*profiles: str, **env: str) -> dict[str, dict[str, Any]]:
    """The services that ``docker compose --profile ...`` has; ``"*"``: all of them."""
    found = {}
    for name, own in load("docker-compose.yml", env)["services"].items():
        service = dict(own)
        extends = service.pop("extends", None)
        if extends:
            base = load(extends["file"], env)["services"][extends["service"]]
            service = _merge(base, service)
        wanted = service.get("profiles")
        if wanted is None or "*" in profiles or set(wanted) & set(profiles):
            found[name] = service
    return found


def parse(command: list[Any]) -> dict[str, Any]:
    """Parse ``gemma4 ...`` with the real command line; nothing runs."""
    assert command[0] == "gemma4"
    found = typer.main.get_group(app).commands[command[1]]
    words = [str(word) for word in command[2:]]
    return found.make_context(command[1], words).params
