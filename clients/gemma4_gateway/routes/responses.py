"""/v1/responses."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from gemma4_client import Delta
from starlette.responses import Response

from gemma4_gateway.answers.logprobs import TokenLogProb
from gemma4_gateway.answers.response_events import ResponseEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.routes.wiring import ERRORS, STREAM, TheGateway
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.request_plan import Plan
from gemma4_gateway.translate.responses import plan_responses

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute)

_ANSWER = {"application/json": {"schema": {"type": "object", "required": ["id", "output"]}}}


@router.post(
    "/v1/responses",
    responses=ERRORS
    | {200: {"description": "A response, or events.", "content": _ANSWER | STREAM}},
    tags=["OpenAI"],
)
async def create_response(
    body: ResponsesRequest, request: Request, gateway: TheGateway
) -> Response:
    """Answer items. Stateless: `input` is the whole conversation."""
    gateway.check_model(body.model)
    drop = gateway.settings.drop_unsupported
    planned = await gateway.beside(request, partial(plan_responses, body, drop=drop))
    work = gateway.work(request, planned.plan, prefix="resp")
    events = ResponseEvents(
        planned, answer_id=work.answer_id, created=work.created, sampling=work.sampling
    )
    if body.stream:
        return gateway.reply(work, partial(work.stream, events=events), on_error=events.error)

    def whole(
        _: Plan,
        answers: list[Delta],
        log_probs: list[list[TokenLogProb]] | None,
        *,
        usage: UsageCount,
        **__: Any,
    ) -> dict[str, Any]:
        events.chunk(0, answers[0], log_probs[0] if log_probs else None)
        return events.body(usage)

    return gateway.reply(work, partial(work.whole, body=whole))
