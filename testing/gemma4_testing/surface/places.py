"""Ports, files, sockets and shared memory of everything that this project starts: where they are,
and who may reach and change them by default."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANYWHERE", "CONTAINERS", "LISTENERS", "PLACES", "PUBLISHED", "Container", "Listener",
           "Place"]  # fmt: skip

_ALL_OF_MACHINE = "every user and process of this machine"
_OWN = "the server's user"


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP port. ``start``: what opens it. ``process`` has it. ``address`` it is bound to. ``port``
    0 is any free one."""

    start: str
    process: str
    what: str
    address: str
    port: int
    reach: str
    wants: str
    """What a client must show."""


LISTENERS = (
    Listener("gemma4 serve", "tritonserver", "Triton's HTTP", "127.0.0.1", 8000, _ALL_OF_MACHINE, "nothing"),
    Listener("gemma4 serve", "tritonserver", "Triton's gRPC", "127.0.0.1", 8001, _ALL_OF_MACHINE, "nothing"),
    Listener("gemma4 serve", "tritonserver", "Triton's metrics", "127.0.0.1", 8002, _ALL_OF_MACHINE, "nothing"),
    Listener("gemma4 serve", "engine", "llama.cpp's own HTTP service, which its wheel always opens", "127.0.0.1", 0,
             _ALL_OF_MACHINE, "a key that is made at each start and told to nobody; nothing for /health"),
    Listener("gemma4 gateway", "gemma4 gateway", "OpenAI's and Anthropic's API, chat page, metrics", "127.0.0.1", 8080,
             _ALL_OF_MACHINE, "a key where there are keys; a certificate with --ssl-ca-certs"),
    Listener("locust -f load_tests/locustfile.py", "locust", "page of the load test", "127.0.0.1", 8089,
             _ALL_OF_MACHINE, "nothing"),
)  # fmt: skip
"""By default, on one machine. `gemma4 load`, `chat`, `build`, `plan`, `template` and `doctor` open
none."""


@dataclass(frozen=True, slots=True)
class Published:
    """A port of docker-compose.yml. ``at`` of the host; empty: reached by the other services
    only."""

    service: str
    port: int
    what: str
    at: str
    wants: str


PUBLISHED = (
    Published("gateway", 8080, "the gateway", "127.0.0.1:8080", "GATEWAY_API_KEY or API_KEYS_FILE, where set"),
    Published("grafana", 3000, "dashboards, read only, no account", "127.0.0.1:3000", "nothing"),
    Published("alertmanager", 9093, "alerts; may be silenced", "127.0.0.1:9093", "nothing"),
    Published("locust", 8089, "page of the load test", "127.0.0.1:8089", "nothing"),
    Published("dynamo", 8080, "Dynamo's frontend: OpenAI's API, metrics", "127.0.0.1:8081", "nothing"),
    Published("triton", 8000, "Triton's HTTP", "", "nothing"),
    Published("triton", 8001, "Triton's gRPC", "", "nothing"),
    Published("triton", 8002, "Triton's metrics", "", "nothing"),
    Published("prometheus", 9090, "metrics", "", "nothing"),
    *(Published("triton-2", port, what, "", "nothing")
      for port, what in ((8000, "Triton's HTTP"), (8001, "Triton's gRPC"), (8002, "Triton's metrics"))),
    *(Published(f"dynamo-worker-{number}", 9090, "Dynamo's status; requests come by a free port", "", "nothing")
      for number in (1, 2)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Container:
    """Of a service of docker-compose.yml that stays up: its ``user``, its ``networks``, and the only
    paths that it may write to beside :data:`ANYWHERE`."""

    service: str
    user: str
    networks: tuple[str, ...]
    writes: tuple[str, ...]


_BOTH = ("inner", "outer")
CONTAINERS = (
    Container("triton", "10001:10001", ("inner",), ("/tmp", "/cache")),
    Container("gateway", "10001:10001", _BOTH, ("/tmp", "/gateway")),
    Container("prometheus", "65534:65534", ("inner",), ("/tmp", "/prometheus")),
    Container("alertmanager", "65534:65534", _BOTH, ("/tmp", "/alertmanager")),
    Container("grafana", "472:0", _BOTH, ("/tmp", "/var/lib/grafana")),
    Container("locust", "10001:10001", _BOTH, ("/tmp",)),
    Container("triton-2", "10001:10001", ("inner",), ("/tmp", "/cache")),
    Container("dynamo-worker-1", "10001:10001", ("inner",), ("/tmp", "/dynamo")),
    Container("dynamo-worker-2", "10001:10001", ("inner",), ("/tmp", "/dynamo")),
    Container("dynamo", "10001:10001", _BOTH, ("/tmp", "/dynamo")),
)

ANYWHERE = {
    "/dev/shm": "shared memory of the container alone",
    "/dev/mqueue": "message queues of the container alone",
    "/run": "by podman alone: a folder in memory",
    "/var/tmp": "by podman alone: a folder in memory",
}
"""What a container engine lets every container write to, and what it is."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a start writes. ``root``: run (the run folder, in TMPDIR or --run-dir), home, shm (/dev/shm),
    engine, store and keys (where the options say). ``pattern`` is a
    regular expression for the path in it. ``mode`` holds every permission that it may have."""

    start: str
    root: str
    pattern: str
    kind: str
    mode: int
    what: str
    reach: str = _OWN
    change: str = _OWN


SERVE, GATEWAY, BUILD = "gemma4 serve", "gemma4 gateway", "gemma4 build"
PLACES = (
    Place(SERVE, "run", r"", "folder", 0o700, "the run folder, new for each start"),
    Place(SERVE, "run", r"board", "file", 0o600, "status board, with the key that seals requests"),
    Place(SERVE, "run", r"lock", "file", 0o600, "process id of the server"),
    Place(SERVE, "run", r"control", "socket", 0o700, "cancel, drain, abort"),
    Place(SERVE, "run", r"prepar\w+", "socket", 0o700, "requests on their way to be prepared"),
    Place(SERVE, "run", r"(chat_template\.jinja|[\w.]+\.jinja)", "file", 0o600, "the template as it was at the start"),
    Place(SERVE, "run", r"beats(/\d+)?", "any", 0o700, "signs of life of its processes"),
    Place(SERVE, "run", r"(backends|python|aliases)(/.*)?", "any", 0o755, "links to Triton's Python backend; no secret"),
    Place(SERVE, "shm", r"gemma4_.*", "shared memory", 0o600, "requests and answers between Triton and its models"),
    Place(SERVE, "home", r"\.cache(/gemma4-triton(/hashes\.json)?)?", "any", 0o755,
          "hashes of engine files that were verified",
          reach="every user of the machine, where the home is open to them"),
    Place(GATEWAY, "shm", r"gemma4-gateway-[^/]*", "folder", 0o700, "metrics of its workers (--workers)"),
    Place(GATEWAY, "shm", r"gemma4-gateway-[^/]*/\w+\.db", "file", 0o644, "the same; the folder is closed"),
    Place(GATEWAY, "store", r"responses\.db(-wal|-shm)?", "file", 0o600, "stored responses (--response-store)"),
    Place(GATEWAY, "keys", r"keys\.json", "file", 0o600, "hashes of API keys (gemma4 gateway new-key)"),
    Place(BUILD, "engine", r".*", "any", 0o755, "weights, tokenizer, manifest",
          reach="every user of the machine: no secret"),
)  # fmt: skip
