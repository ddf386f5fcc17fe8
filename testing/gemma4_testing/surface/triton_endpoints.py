"""Every endpoint of Triton, and who gets an answer by default from one that `gemma4 serve` starts.

gRPC: the methods of GRPCInferenceService. HTTP: the patterns by which Triton's HTTP server takes
paths; they are texts of its binary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.enums import StrEnum

__all__ = ["GRPC", "HTTP", "OTHER_SERVERS", "Access", "Endpoint", "patterns_of"]


class Access(StrEnum):
    """To whom an endpoint is open."""

    OPEN = "whoever reaches the port"
    INSPECTION = "as open, but where Triton listens on other addresses than loopback, nobody"
    CLOSED = "nobody"


O, I, C = Access.OPEN, Access.INSPECTION, Access.CLOSED  # noqa: E741

GRPC: dict[str, Access] = {
    "ServerLive": O, "ServerReady": O, "ModelReady": O, "ServerMetadata": O, "ModelMetadata": O,
    "ModelInfer": O, "ModelStreamInfer": O,
    "ModelConfig": I, "ModelStatistics": I,
    "RepositoryIndex": C, "RepositoryModelLoad": C, "RepositoryModelUnload": C,
    "SystemSharedMemoryStatus": C, "SystemSharedMemoryRegister": C,
    "SystemSharedMemoryUnregister": C,
    "CudaSharedMemoryStatus": C, "CudaSharedMemoryRegister": C, "CudaSharedMemoryUnregister": C,
    "TraceSetting": C, "LogSettings": C,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``path`` with a model and a region that may be there."""

    method: str
    path: str
    access: Access


def _each(access: Access, *lines: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(method, path, access) for method, path in map(str.split, lines))


HTTP: dict[str, tuple[Endpoint, ...]] = {
    "/v2(?:/health/(live|ready))?": _each(
        O, "GET /v2", "GET /v2/health/live", "GET /v2/health/ready"
    ),
    "/v2/models/([^/]+)(?:/versions/([0-9]+))?(?:/(infer|generate|generate_stream|ready|config|"
    "stats|trace/setting))?": (
        *_each(
            O, "GET /v2/models/gemma4", "GET /v2/models/gemma4/ready",
            "GET /v2/models/gemma4/versions/1", "GET /v2/models/gemma4/versions/1/ready",
            "POST /v2/models/gemma4/infer", "POST /v2/models/gemma4/generate",
            "POST /v2/models/gemma4/generate_stream", "POST /v2/models/gemma4/versions/1/generate",
        ),
        *_each(
            I, "GET /v2/models/gemma4/config", "GET /v2/models/engine/versions/1/config",
            "GET /v2/models/gemma4/stats", "GET /v2/models/gemma4/versions/1/stats",
        ),
        *_each(
            C, "GET /v2/models/gemma4/trace/setting", "POST /v2/models/gemma4/trace/setting",
        ),
    ),
    "/v2/models/stats": _each(I, "GET /v2/models/stats"),
    "/v2/repository(?:/([^/]+))?/(index|models/([^/]+)/(load|unload))": _each(
        C, "POST /v2/repository/index", "POST /v2/repository/models/gemma4/load",
        "POST /v2/repository/models/engine/unload", "POST /v2/repository/x/index",
        "POST /v2/repository/x/models/gemma4/load",
    ),
    "/v2/systemsharedmemory(?:/region/([^/]+))?/(status|register|unregister)": _each(
        C, "GET /v2/systemsharedmemory/status", "GET /v2/systemsharedmemory/region/x/status",
        "POST /v2/systemsharedmemory/region/x/register", "POST /v2/systemsharedmemory/unregister",
        "POST /v2/systemsharedmemory/region/x/unregister",
    ),
    "/v2/cudasharedmemory(?:/region/([^/]+))?/(status|register|unregister)": _each(
        C, "GET /v2/cudasharedmemory/status", "GET /v2/cudasharedmemory/region/x/status",
        "POST /v2/cudasharedmemory/region/x/register", "POST /v2/cudasharedmemory/unregister",
        "POST /v2/cudasharedmemory/region/x/unregister",
    ),
    "/v2/trace/setting": _each(C, "GET /v2/trace/setting", "POST /v2/trace/setting"),
    "/v2/logging": _each(C, "GET /v2/logging", "POST /v2/logging"),
}  # fmt: skip
"""Pattern to what is asked of it."""

OTHER_SERVERS = {
    "/ping": "SageMaker, as /invocations",
    "/invocations": "SageMaker: off unless --allow-sagemaker is said, which `gemma4 serve` does not",
}
"""Paths in the binary that belong to servers which are not started."""

_TEXT = re.compile(rb"/(?:v2|invocations|ping|predict)[\x21-\x7e]*")


def patterns_of(binary: Path) -> set[str]:
    """Return the texts of tritonserver that are patterns of paths, or whole paths."""
    found = set()
    for text in re.findall(rb"[\x20-\x7e]{5,}", binary.read_bytes()):
        if _TEXT.fullmatch(text):
            found.add(text.decode())
    return found
