"""The plan of a request to /v1/responses, with what it refers to of stored responses put in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Request

from gemma4_gateway.errors import UNSUPPORTED, ApiError, invalid
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.record import record_of
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.kept_items import references
from gemma4_gateway.translate.responses import ResponsePlan, plan_responses

__all__ = ["earlier_items", "no_store", "plan_of"]

_NO_STORE = "nothing is stored; {}, or start the gateway with --response-store"


async def plan_of(
    body: ResponsesRequest,
    request: Request,
    gateway: Gateway,
    *,
    earlier: Sequence[dict[str, Any]] | None = None,
) -> ResponsePlan:
    """Plan the request. ``earlier`` are the items of its ``previous_response_id``, which are read
    unless they are given. Puts the items that ``body.input`` refers to into it. Raises
    :class:`~gemma4_gateway.errors.ApiError` for what is not valid or not stored."""
    body.model = gateway.check_model(body.model or None)
    if earlier is None:
        earlier = await earlier_items(body.previous_response_id, request, gateway)
    owner = record_of(request.scope).key.name
    for place, wanted in references(body.input).items():
        if gateway.store is None:
            raise no_store(f"input[{place}].type", "item_reference: send the item itself")
        item = await gateway.store.item(owner, wanted) if isinstance(wanted, str) else None
        if item is None:
            raise invalid(f"input[{place}].id", f"{wanted!r} is not stored; send the item itself")
        assert isinstance(body.input, list)
        body.input[place] = item
    drop, stores = gateway.settings.drop_unsupported, gateway.store is not None
    work = partial(plan_responses, body, drop=drop, earlier=earlier, stores=stores)
    return await gateway.beside(request, work)


async def earlier_items(
    previous: str | None, request: Request, gateway: Gateway
) -> list[dict[str, Any]]:
    """Return the items of the stored response ``previous`` and of those that it builds on. Raises
    :class:`~gemma4_gateway.errors.ApiError` where it is not stored."""
    if previous is None:
        return []
    if gateway.store is None:
        raise no_store("previous_response_id", "send the earlier items in `input`")
    owner = record_of(request.scope).key.name
    most = gateway.settings.limits.max_body
    return await gateway.store.conversation(owner, previous, most_bytes=most)


def no_store(param: str, way_out: str) -> ApiError:
    """Return the error for what needs a store."""
    return invalid(param, f"not supported: {_NO_STORE.format(way_out)}", code=UNSUPPORTED)
