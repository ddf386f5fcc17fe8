"""Stored responses: retrieve, delete, list their input."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from gemma4_gateway.errors import invalid, not_found
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.record import record_of
from gemma4_gateway.routes.wiring import ERRORS, TheGateway
from gemma4_gateway.store.responses import ResponseStore

__all__ = ["router"]

router = APIRouter(tags=["OpenAI"], responses=ERRORS)


def _store(gateway: Gateway) -> ResponseStore:
    if gateway.store is None:
        text = "response_id: nothing is stored; start the gateway with --response-store"
        raise not_found(text, param="response_id", code="response_not_found")
    return gateway.store


@router.get("/v1/responses/{response_id}")
async def retrieve_response(
    response_id: str, request: Request, gateway: TheGateway, stream: bool = False
) -> dict[str, Any]:
    """Return a stored response. `stream=true` is refused: there are no background responses."""
    if stream:
        raise invalid("stream", "a stored response is whole; leave it out")
    return await _store(gateway).retrieve(record_of(request.scope).key.name, response_id)


@router.delete("/v1/responses/{response_id}")
async def delete_response(
    response_id: str, request: Request, gateway: TheGateway
) -> dict[str, Any]:
    """Delete a stored response. Those that build on it cannot be continued then."""
    await _store(gateway).delete(record_of(request.scope).key.name, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/v1/responses/{response_id}/input_items")
async def list_input_items(
    response_id: str,
    request: Request,
    gateway: TheGateway,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
) -> dict[str, Any]:
    """List what a stored response answered, those before it included, newest first."""
    items = await _store(gateway).input_items(
        record_of(request.scope).key.name, response_id, most_bytes=gateway.settings.limits.max_body
    )
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    for name, value in (("after", after), ("before", before)):
        if value is not None and value not in ids:
            raise invalid(name, f"{value!r} is no item of this response")
    begin = 0 if after is None else ids.index(after) + 1
    end = len(ids) if before is None else ids.index(before)
    page = items[begin:end][:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(page) < len(items[begin:end]),
    }
