"""/v1/chat/completions and /v1/completions."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.answers.chat_whole import chat_body
from gemma4_gateway.answers.completion import CompletionEvents, completion_body
from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.routes.wiring import ERRORS, STREAM, TheGateway
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.translate.chat import plan_chat
from gemma4_gateway.translate.completions import plan_completion

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute)


def _answers(kind: str) -> dict[int | str, dict[str, Any]]:
    body = {"schema": {"type": "object", "required": ["id", "object", "choices"]}}
    content = {"application/json": body} | STREAM
    return ERRORS | {200: {"description": f"A {kind}, or its events.", "content": content}}


@router.post("/v1/chat/completions", responses=_answers("chat completion"), tags=["OpenAI"])
async def create_chat_completion(
    body: ChatCompletionRequest, request: Request, gateway: TheGateway
) -> Response:
    """Answer a conversation."""
    gateway.check_model(body.model)
    plan = await gateway.beside(request, partial(plan_chat, body))
    work = gateway.work(request, plan, prefix="chatcmpl")
    if not body.stream:
        return gateway.reply(work, partial(work.whole, body=chat_body))
    events = ChatEvents(work.plan, answer_id=work.answer_id, created=work.created)
    return gateway.reply(work, partial(work.stream, events=events))


@router.post("/v1/completions", responses=_answers("completion"), tags=["OpenAI"])
async def create_completion(
    body: CompletionRequest, request: Request, gateway: TheGateway
) -> Response:
    """Continue a text."""
    gateway.check_model(body.model)
    plan = await gateway.beside(request, partial(plan_completion, body))
    work = gateway.work(request, plan, prefix="cmpl")
    if not body.stream:
        return gateway.reply(work, partial(work.whole, body=completion_body))
    events = CompletionEvents(work.plan, answer_id=work.answer_id, created=work.created)
    return gateway.reply(work, partial(work.stream, events=events))
