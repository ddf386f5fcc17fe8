"""/v1/responses/compact: a conversation, made short by the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.reply import Out
from gemma4_gateway.routes.response_plan import earlier_items, plan_of
from gemma4_gateway.routes.wiring import ERRORS, TheGateway
from gemma4_gateway.schemas.compact import CompactRequest
from gemma4_gateway.translate.compaction import compacted, summary_request

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute, tags=["OpenAI"])

_ANSWER = {"application/json": {"schema": {"type": "object", "required": ["id", "output"]}}}


@router.post(
    "/v1/responses/compact",
    responses=ERRORS | {200: {"description": "The compacted conversation.", "content": _ANSWER}},
)
async def compact_conversation(
    body: CompactRequest, request: Request, gateway: TheGateway
) -> Response:
    """Return the user's messages and a summary of all else, which the model writes. Send them as
    the first items of the next `input`."""
    asking = summary_request(body)
    earlier = await earlier_items(body.previous_response_id, request, gateway)
    planned = await plan_of(asking, request, gateway, earlier=earlier)
    work = gateway.work(request, replace(planned.plan, whole_room=True), prefix="resp")

    async def write(out: Out) -> None:
        (answer,), _, usage = await work.gathered()
        assert isinstance(asking.input, list)
        said: dict[str, Any] = {
            "id": work.answer_id,
            "object": "response.compaction",
            "created_at": work.created,
            "output": compacted([*earlier, *asking.input[:-1]], answer.text),
            "usage": usage.response_body(),
        }
        await out.json(said)

    return gateway.reply(work, write)
