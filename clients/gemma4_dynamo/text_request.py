"""``--input text``: OpenAI's body, as the client sent it. The gateway's code reads and answers it,
so that the template is the checkpoint's and tool calls come from token ids."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from gemma4_client import AsyncClient, AsyncStream, Delta, InvalidRequestError
from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.answers.completion import CompletionEvents
from gemma4_gateway.answers.logprobs import TokenLogProb, TokenLogProbs
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.errors import ApiError, validation_error
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.translate.chat import plan_chat
from gemma4_gateway.translate.completions import plan_completion
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.request_plan import Plan
from pydantic import ValidationError

from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.token_texts import TokenTexts
from gemma4_dynamo.values import part

__all__ = ["TextRequest", "read_text"]

_CHARS_PER_TOKEN = 4
"""For a guess at a prompt's tokens, which only the reports of the load use."""
_EVENT = b"data: "
_DYNAMOS = frozenset({"_HEALTH_CHECK", "request_timestamp_ms"})
"""Fields that say something to Dynamo's own parts."""
_TEMPLATE, _DYNAMOS_TEMPLATE = "chat_template_kwargs", "chat_template_args"
"""The parameter, and what Dynamo's frontend calls it when it passes it on."""
_ADDED = ("thinking", "thinking_mode")
""":func:`_template_options`."""


def read_text(request: Mapping[str, Any]) -> TextRequest:
    """Return what to ask of the engine. Raises :class:`RefusedError`, with the gateway's words."""
    request = part("request", request)
    body = {k: v for k, v in request.items() if v is not None and k not in _DYNAMOS}
    if _DYNAMOS_TEMPLATE in body:
        body[_TEMPLATE] = _template_options(body.pop(_DYNAMOS_TEMPLATE))
    if body.get("nvext"):
        raise RefusedError("nvext", "with --input text it has no effect; leave it out")
    body.pop("nvext", None)
    chat = "messages" in body
    try:
        if chat:
            plan = plan_chat(ChatCompletionRequest.model_validate(body))
        else:
            plan = plan_completion(CompletionRequest.model_validate(body))
    except ValidationError as error:
        raise _refused(validation_error(error.errors())) from None
    except ApiError as error:
        raise _refused(error) from None
    if len(plan.calls) > 1:
        name = "n" if plan.per_prompt > 1 else "prompt"
        raise RefusedError(name, "several answers are not supported: send one request for each")
    characters = len(orjson.dumps(body.get("messages", body.get("prompt"))))
    return TextRequest(replace(plan, include_usage=True), chat=chat, characters=characters)


def _template_options(given: Any) -> Any:
    """Return them without what Dynamo's frontend adds to ``enable_thinking`` under other names."""
    if not isinstance(given, dict):
        return given
    if "enable_thinking" in given:
        return {name: value for name, value in given.items() if name not in _ADDED}
    if "thinking" in given:
        return _template_options(given | {"enable_thinking": given["thinking"]})
    return given


def _refused(error: ApiError) -> RefusedError:
    """Return the same error; its message begins with the parameter already."""
    field, _, message = error.message.partition(": ")
    return RefusedError(field, message)


def _chunk(event: bytes) -> dict[str, Any]:
    """Return an event of the gateway without vLLM's name of thoughts, which is a second name of one
    field for Dynamo's frontend: it takes a chunk with both for a broken one."""
    chunk: dict[str, Any] = orjson.loads(event)
    for choice in chunk["choices"]:
        choice.get("delta", {}).pop("reasoning", None)
    return chunk


class TextRequest:
    """One request and its answer so far."""

    def __init__(self, plan: Plan, *, chat: bool, characters: int) -> None:
        self._plan = plan
        self._call = plan.calls[0]
        make, prefix = (ChatEvents, "chatcmpl") if chat else (CompletionEvents, "cmpl")
        self._events = make(
            plan, answer_id=f"{prefix}-{uuid.uuid4().hex}", created=int(time.time())
        )
        self._log_probs = TokenLogProbs() if plan.log_probs else None
        self.prompt_tokens = -(-characters // _CHARS_PER_TOKEN)

    def start(self, client: AsyncClient, *, request_id: str, timeout: float) -> AsyncStream:
        call = self._call
        if call.messages is not None:
            return client.chat(
                call.messages,
                tools=call.tools,
                timeout=timeout,
                request_id=request_id,
                **call.options,
            )
        return client.generate(
            call.text,
            prompt_token_ids=call.token_ids,
            timeout=timeout,
            request_id=request_id,
            **call.options,
        )

    async def chunks(self, delta: Delta, texts: TokenTexts) -> list[dict[str, Any]]:
        found = self._events.chunk(0, delta, await self._log_probs_of(delta, texts))
        if delta.finish_reason:
            usage = UsageCount(1, per_prompt=1)
            usage.add(0, delta)
            found += self._events.end(usage)
        events = (line.removeprefix(_EVENT) for line in found.split(b"\n\n"))
        return [_chunk(event) for event in events if event.startswith(b"{")]

    async def _log_probs_of(self, delta: Delta, texts: TokenTexts) -> list[TokenLogProb] | None:
        if self._log_probs is None:
            return None
        best = delta.top_log_probs
        table = await texts.learn(delta.ids + [token for place in best for token, _ in place])
        tops = [[(table[token], value) for token, value in place] for place in best]
        return self._log_probs.add([table[token] for token in delta.ids], delta, tops)

    def refusal(self, error: InvalidRequestError) -> str:
        return engine_refusal(error, self._plan.names | self._call.names).message

    def cancelled(self) -> list[dict[str, Any]]:
        return []

    def over(self) -> list[dict[str, Any]]:
        return []
