"""/v1/responses, and how many tokens its input has."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from gemma4_client import Gemma4Error
from starlette.responses import Response

from gemma4_gateway.answers.response_events import ResponseEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.record import record_of
from gemma4_gateway.reply import Out
from gemma4_gateway.routes.response_plan import no_store, plan_of
from gemma4_gateway.routes.wiring import ERRORS, STREAM, TheGateway
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.failures import failure, unsendable
from gemma4_gateway.translate.kept_items import kept_items

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute, tags=["OpenAI"])

_STORED = "{}_v1_responses__response_id_{}"
_LINKS = {
    name: {
        "operationId": _STORED.format(*operation),
        "parameters": {"response_id": "$response.body#/id"},
        "description": "With --response-store, unless `store` is false.",
    }
    for name, operation in {
        "retrieve": ("retrieve_response", "_get"),
        "delete": ("delete_response", "_delete"),
        "input_items": ("list_input_items", "_input_items_get"),
    }.items()
}
"""What may be done with a stored response."""
_ANSWER = {"application/json": {"schema": {"type": "object", "required": ["id", "output"]}}}


@router.post(
    "/v1/responses",
    responses=ERRORS
    | {
        200: {
            "description": "A response, or events.",
            "content": _ANSWER | STREAM,
            "links": _LINKS,
        }
    },
)
async def create_response(
    body: ResponsesRequest, request: Request, gateway: TheGateway
) -> Response:
    """Answer items. `input` is the whole conversation, or with `previous_response_id` what is new
    of it."""
    if body.store and gateway.store is None:
        raise no_store("store", "leave it out")
    planned = await plan_of(body, request, gateway)
    work = gateway.work(request, planned.plan, prefix="resp")
    events = ResponseEvents(
        planned, answer_id=work.answer_id, created=work.created, sampling=work.sampling
    )
    owner = record_of(request.scope).key.name

    async def keep(usage: UsageCount) -> None:
        """Store the response, which says whether that was done."""
        if gateway.store is not None and planned.said["store"]:
            given, whole = kept_items(body.input), events.body(usage)
            previous = body.previous_response_id
            whole["store"] = await gateway.store.save(owner, previous, given, whole)

    async def write(out: Out) -> None:
        answers, log_probs, usage = await work.gathered()
        events.chunk(0, answers[0], log_probs[0] if log_probs else None)
        await keep(usage)
        await out.json(events.body(usage))

    if body.stream:
        streaming = partial(work.stream, events=events, before_end=keep)
        return gateway.reply(work, streaming, on_error=events.error)
    return gateway.reply(work, write)


@router.post("/v1/responses/input_tokens", responses=ERRORS)
async def count_input_tokens(
    body: ResponsesRequest, request: Request, gateway: TheGateway
) -> dict[str, Any]:
    """Count the tokens of a prompt. Takes the same body as /v1/responses, and generates nothing."""
    plan = (await plan_of(body, request, gateway)).plan
    (call,) = plan.calls
    try:
        found = await gateway.router.ask(plan.model, lambda b: b.prompt_ids(call))
    except Gemma4Error as error:
        raise failure(error, plan.names) from None
    except ValueError as error:
        raise unsendable(error) from None
    return {"object": "response.input_tokens", "input_tokens": len(found)}
