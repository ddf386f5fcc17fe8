"""Anthropic's /v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from gemma4_client import Delta, Gemma4Error
from starlette.responses import Response

from gemma4_gateway.answers.anthropic_errors import anthropic_event
from gemma4_gateway.answers.message_events import MessageEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.errors import invalid
from gemma4_gateway.record import record_of
from gemma4_gateway.routes.wiring import ANTHROPIC_ERRORS, STREAM, TheGateway
from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessagesRequest
from gemma4_gateway.translate.anthropic import plan_messages
from gemma4_gateway.translate.failures import failure, unsendable
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute, tags=["Anthropic"])

_VERSIONS = ("2023-06-01", "2026-10-21")
"""Of the API. What the second one lacks (temperature, top_p, top_k) is taken with both."""
_ANSWER = {"application/json": {"schema": {"type": "object", "required": ["id", "content"]}}}


def _check_version(request: Request) -> None:
    given = request.headers.get("anthropic-version", _VERSIONS[0])
    if given not in _VERSIONS:
        known = " or ".join(_VERSIONS)
        raise invalid("anthropic-version", f"{given[:32]!r} is not known here; send {known}")


@router.post(
    "/v1/messages",
    responses=ANTHROPIC_ERRORS
    | {200: {"description": "A message, or its events.", "content": _ANSWER | STREAM}},
)
async def create_message(body: MessagesRequest, request: Request, gateway: TheGateway) -> Response:
    """Answer a conversation, as Anthropic's Messages API."""
    _check_version(request)
    gateway.check_model(body.model)
    plan = await gateway.beside(request, partial(plan_messages, body))
    work = gateway.work(request, plan, prefix="msg")
    events = MessageEvents(
        plan,
        answer_id=work.answer_id.replace("-", "_"),
        thoughts=body.thinking is None or body.thinking.shown,
    )
    if body.stream:
        on_error = partial(anthropic_event, request_id=record_of(request.scope).request_id)
        return gateway.reply(work, partial(work.stream, events=events), on_error=on_error)

    def whole(
        _: Plan, answers: list[Delta], __: None, *, usage: UsageCount, **___: Any
    ) -> dict[str, Any]:
        events.chunk(0, answers[0], None)
        return events.body(usage)

    return gateway.reply(work, partial(work.whole, body=whole))


@router.post("/v1/messages/count_tokens", responses=ANTHROPIC_ERRORS)
async def count_tokens(
    body: CountTokensRequest, request: Request, gateway: TheGateway
) -> dict[str, int]:
    """Return the number of tokens of the prompt that /v1/messages would make of the same."""
    _check_version(request)
    model = gateway.check_model(body.model)
    plan = await gateway.beside(request, partial(plan_messages, body))
    (call,) = plan.calls
    try:
        found = await gateway.router.ask(model, lambda b: b.prompt_ids(call))
    except Gemma4Error as error:
        raise failure(error, plan.names) from None
    except ValueError as error:
        raise unsendable(error) from None
    return {"input_tokens": len(found)}
