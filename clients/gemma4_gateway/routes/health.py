"""/health, /version and /metrics. No API key is asked for."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from gemma4_gateway.routes.wiring import TheGateway

__all__ = ["NOT_READY", "ready", "router"]

router = APIRouter(tags=["operation"])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answer 200 while the process answers."""
    return {"status": "live"}


@router.get("/version")
async def software() -> dict[str, str]:
    """Return this software's version, under vLLM's name for it."""
    return {"version": version("gemma4-triton")}


NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Not ready; `backends` says why."}
}
"""What `/health/ready` may answer beside 200."""


@router.get("/health", responses=NOT_READY, summary="The same as /health/ready, as vLLM has it")
@router.get("/ping", responses=NOT_READY, summary="The same as /health/ready, for SageMaker")
@router.get("/health/ready", responses=NOT_READY)
async def ready(gateway: TheGateway) -> Response:
    """Answer 200 when it takes requests and at least one back end is ready."""
    lifecycle = gateway.lifecycle
    status = "draining" if lifecycle.draining else "ready" if gateway.ready else "not ready"
    body: dict[str, Any] = {
        "status": status,
        "backends": [
            {
                "address": b.address,
                "ready": b.ready,
                "outstanding": b.outstanding,
                "reason": b.reason or None,
            }
            for b in gateway.backends
        ],
        "dns": [
            {"name": str(f.name), "addresses": len(f.addresses), "error": f.error or None}
            for f in gateway.discovery.names
        ],
    }
    if gateway.member is not None:
        body["worker"] = gateway.member.number
    return JSONResponse(body, 200 if gateway.ready else 503)


@router.get("/metrics", response_class=Response)
async def metrics(gateway: TheGateway) -> Response:
    """Return the metrics for Prometheus."""
    return Response(gateway.render_metrics(), media_type=CONTENT_TYPE_LATEST)
