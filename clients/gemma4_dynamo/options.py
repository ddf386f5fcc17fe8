"""What a worker is told at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gemma4_client.address import parse_address, without_user

__all__ = [
    "CARDS",
    "DISCOVERY",
    "EVENT_PLANES",
    "INPUTS",
    "REQUEST_PLANES",
    "OptionsError",
    "WorkerOptions",
    "default_endpoint",
]

DISCOVERY = ("etcd", "kubernetes", "file", "mem")
REQUEST_PLANES = ("tcp", "nats")
EVENT_PLANES = ("zmq", "nats")
INPUTS = ("tokens", "text")
CARDS = Path("/tmp/gemma4-dynamo")
"""The same on every machine, since Dynamo compares it."""

_ENDPOINT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")


class OptionsError(ValueError):
    """An option or a file is wrong; the message says which, and the way out."""


def default_endpoint(environ: Mapping[str, str]) -> str:
    """Return the endpoint in the namespace that Dynamo's operator gives to a worker."""
    namespace = environ.get("DYN_NAMESPACE") or "dynamo"
    suffix = environ.get("DYN_NAMESPACE_WORKER_SUFFIX")
    return f"{namespace}-{suffix}.backend.generate" if suffix else f"{namespace}.backend.generate"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """``servers``: ``host:port`` of gRPC services of Triton, all with the engine of the folder
    ``engine``. ``name``: the name of the model, "" for the engine's own. ``endpoint``: namespace,
    component and endpoint in Dynamo. ``drain_delay``: seconds that the worker still takes requests
    after it has left discovery, for frontends to notice. ``grace``: seconds that running answers
    get after that. ``timeout``: seconds for one answer. ``health_interval``: seconds between two
    looks at a server. ``cards``: the folder for what is registered
    (:mod:`gemma4_dynamo.card`). ``input``: whether Dynamo sends token ids or OpenAI's body.

    Raises :class:`OptionsError`."""

    engine: Path
    servers: tuple[str, ...] = ("127.0.0.1:8001",)
    name: str = ""
    endpoint: str = "dynamo.backend.generate"
    discovery: str = "etcd"
    request_plane: str = "tcp"
    event_plane: str = "zmq"
    drain_delay: float = 2.0
    grace: float = 30.0
    timeout: float = 600.0
    health_interval: float = 1.0
    cards: Path = CARDS
    input: str = "tokens"

    def __post_init__(self) -> None:
        if not _ENDPOINT.fullmatch(self.endpoint):
            raise OptionsError(
                f"--endpoint {self.endpoint}: is not NAMESPACE.COMPONENT.ENDPOINT, such as "
                "dynamo.backend.generate, each of letters, digits, - and _"
            )
        if self.name and not (self.name.strip() == self.name and self.name.isprintable()):
            raise OptionsError(
                f"--served-model-name {self.name!r}: give a name without blanks at its ends and "
                "without control characters, or leave it out for the engine's"
            )
        choices = (
            ("--discovery-backend", self.discovery, DISCOVERY),
            ("--request-plane", self.request_plane, REQUEST_PLANES),
            ("--event-plane", self.event_plane, EVENT_PLANES),
            ("--input", self.input, INPUTS),
        )
        for option, value, known in choices:
            if value not in known:
                raise OptionsError(f"{option} {value}: use one of {', '.join(known)}")
        if not self.servers:
            raise OptionsError("--server: give the address of at least one Triton server")
        for server in self.servers:
            _check_server(server)


def _check_server(server: str) -> None:
    """Raise :class:`OptionsError` unless it is an address of gRPC."""
    shown = without_user(server)
    wrong = "give --server once for each" if "," in server else ""
    try:
        if not wrong and parse_address(server).protocol != "grpc":
            wrong = "the worker speaks gRPC"
    except ValueError as error:
        wrong = str(error).partition(f"url={shown!r}")[2].lstrip(": ") or str(error)
    if wrong:
        raise OptionsError(
            f"--server {shown}: {wrong}; give host:port of Triton's gRPC service, such as "
            "127.0.0.1:8001"
        )
