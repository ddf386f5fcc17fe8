"""A request before it is put on a wire. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemma4_runtime.trace_context import TRACE_FIELDS, TraceContext, read_trace

from gemma4_client.guides import guide_inputs
from gemma4_client.transport.headers import check_headers
from gemma4_client.wire import check_inputs

__all__ = ["Messages", "Request", "as_messages", "chat_request", "text_request", "to_json"]

Messages = str | Sequence[Mapping[str, Any]]
"""A chat in OpenAI's form, or the text of one user message."""


@dataclass(frozen=True, slots=True)
class Request:
    """``inputs`` by tensor name, checked, without None. ``timeout`` is in seconds for the whole
    answer, retries included. ``model`` is the class for ``Answer.parsed``.
    ``trace``: what it belongs to; the server's spans belong to that."""

    inputs: dict[str, Any]
    request_id: str
    timeout: float | None = None
    headers: Mapping[str, str] | None = None
    model: type[Any] | None = None
    trace: TraceContext | None = None

    @property
    def streamed(self) -> bool:
        return bool(self.inputs["stream"])


def as_messages(messages: Messages) -> Sequence[Mapping[str, Any]]:
    """Return a lone text as one user message."""
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def to_json(name: str, value: Any) -> str:
    """Return JSON text; :class:`ValueError` names what cannot be written so."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None


def chat_request(
    messages: Messages,
    options: Mapping[str, Any],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    timeout: float | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """Make the request. Raises :class:`ValueError`, which names the option at fault."""
    inputs = {"messages": to_json("messages", as_messages(messages))}
    if tools is not None:
        inputs["tools"] = to_json("tools", tools)
    return _request(inputs, options, timeout, request_id, headers)


def text_request(
    text: str | None,
    options: Mapping[str, Any],
    *,
    prompt_token_ids: Sequence[int] | None = None,
    timeout: float | None = None,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """Make the request of a text or of token ids. Raises :class:`ValueError`, which names the
    option at fault."""
    if (text is None) == (prompt_token_ids is None):
        raise ValueError("give one of text and prompt_token_ids")
    if prompt_token_ids is None:
        return _request({"text_input": text}, options, timeout, request_id, headers)
    if isinstance(prompt_token_ids, str | bytes) or not len(prompt_token_ids):
        raise ValueError(f"prompt_token_ids={prompt_token_ids!r} must be a list of token ids")
    prompt = {"prompt_token_ids": list(prompt_token_ids)}
    return _request(prompt, options, timeout, request_id, headers)


def _others(headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return ``headers`` without those of a trace, which go into the request itself."""
    return headers and {n: v for n, v in headers.items() if n.lower() not in TRACE_FIELDS}


def _request(
    prompt: dict[str, Any],
    options: Mapping[str, Any],
    timeout: float | None,
    request_id: str | None,
    headers: Mapping[str, str] | None,
) -> Request:
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout={timeout!r} must be more than 0 seconds, or None for no limit")
    check_headers(headers)
    inputs = {"stream": True, **prompt, **guide_inputs(options)}
    if isinstance(inputs.get("logit_bias"), Mapping):
        inputs["logit_bias"] = to_json("logit_bias", dict(inputs["logit_bias"]))
    return Request(
        inputs=check_inputs(inputs),
        request_id=request_id or uuid.uuid4().hex,
        timeout=timeout,
        headers=_others(headers),
        model=options.get("response_model"),
        trace=read_trace(headers) if headers else None,
    )
