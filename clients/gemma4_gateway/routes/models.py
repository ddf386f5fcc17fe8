"""/v1/models, with the fields of OpenAI's and of Anthropic's list."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter

from gemma4_gateway.gateway import Gateway
from gemma4_gateway.routes.wiring import ERRORS, TheGateway

__all__ = ["router"]

router = APIRouter(tags=["OpenAI"], responses=ERRORS)


@router.get("/v1/models")
async def list_models(gateway: TheGateway) -> dict[str, Any]:
    """Return the names to use as `model`."""
    names = gateway.model_names()
    return {
        "object": "list",
        "data": [_model(gateway, name) for name in names],
        "has_more": False,
        "first_id": names[0],
        "last_id": names[-1],
    }


@router.get("/v1/models/{model:path}")
async def retrieve_model(model: str, gateway: TheGateway) -> dict[str, Any]:
    """Return one of the models."""
    return _model(gateway, gateway.check_model(model))


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "google"}
    infos = [b.info for b in gateway.backends if b.info is not None]
    same = [info for info in infos if info.model == name] or infos
    if same:
        info = same[0]
        found |= {
            "created": info.created,
            "root": info.model,
            "max_model_len": info.max_total_tokens,
            "runtime": f"{info.runtime} {info.runtime_version}",
            "precision": info.precision,
        }
    created = datetime.fromtimestamp(found["created"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found | {"type": "model", "display_name": name, "created_at": created}
