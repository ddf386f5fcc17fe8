"""/v1/chat/completions and /v1/completions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.answers.chat_whole import chat_body
from gemma4_gateway.answers.completion import CompletionEvents, completion_body
from gemma4_gateway.answers.work import Body, Events
from gemma4_gateway.body.route import JsonRoute
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.routes.wiring import ERRORS, STREAM, TheGateway
from gemma4_gateway.schemas.base import Sampling
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.translate.chat import plan_chat
from gemma4_gateway.translate.completions import plan_completion
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["router"]

router = APIRouter(route_class=JsonRoute)


@dataclass(frozen=True, slots=True)
class _Answers:
    """How the answers of a route are written; ``prefix`` starts their ids."""

    prefix: str
    body: Body
    events: Callable[..., Events]


_CHAT = _Answers("chatcmpl", chat_body, ChatEvents)
_COMPLETION = _Answers("cmpl", completion_body, CompletionEvents)


def _responses(kind: str) -> dict[int | str, dict[str, Any]]:
    body = {"schema": {"type": "object", "required": ["id", "object", "choices"]}}
    content = {"application/json": body} | STREAM
    return ERRORS | {200: {"description": f"A {kind}, or its events.", "content": content}}


async def _answer(
    gateway: Gateway,
    request: Request,
    body: Sampling,
    make_plan: Callable[[], Plan],
    answers: _Answers,
) -> Response:
    body.model = gateway.check_model(body.model or None)
    plan = await gateway.beside(request, make_plan)
    work = gateway.work(request, plan, prefix=answers.prefix)
    if not body.stream:
        whole = partial(answers.body, prompts=work.prompts)
        return gateway.reply(work, partial(work.whole, body=whole))
    events = answers.events(
        plan, answer_id=work.answer_id, created=work.created, prompts=work.prompts
    )
    return gateway.reply(work, partial(work.stream, events=events))


@router.post("/v1/chat/completions", responses=_responses("chat completion"), tags=["OpenAI"])
async def create_chat_completion(
    body: ChatCompletionRequest, request: Request, gateway: TheGateway
) -> Response:
    """Answer a conversation."""
    return await _answer(gateway, request, body, partial(plan_chat, body), _CHAT)


@router.post("/v1/completions", responses=_responses("completion"), tags=["OpenAI"])
async def create_completion(
    body: CompletionRequest, request: Request, gateway: TheGateway
) -> Response:
    """Continue a text."""
    return await _answer(gateway, request, body, partial(plan_completion, body), _COMPLETION)
