"""/v1/responses/compact: the request for a summary, and the items that take a conversation's place.

The summary is written by the model that is served. It comes back as an item that clients hand on
unread, as OpenAI's does; it is encoded, not secret (:mod:`gemma4_gateway.translate.thoughts`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gemma4_gateway.answers.response_items import new_id
from gemma4_gateway.errors import invalid
from gemma4_gateway.schemas.compact import CompactRequest
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.kept_items import kept_items
from gemma4_gateway.translate.thoughts import sealed

__all__ = ["compacted", "summary_request"]

_ASK = (
    "Summarize our conversation so far, for yourself, so that you can go on without it. My own "
    "messages stay; give all else that matters: what was found out and decided, results of tools, "
    "names, numbers and code that are still needed, and what is left to do. Write the summary only."
)

_MOST_TOKENS = 4096
"""Tokens of a summary, at most; it would not shorten much otherwise."""


def summary_request(body: CompactRequest) -> ResponsesRequest:
    """Return the request that asks the model for the summary: the conversation, and one more
    message of the user, which is the last item of ``input``. Raises
    :class:`~gemma4_gateway.errors.ApiError` 400 where there is no conversation."""
    given = body.input or []
    if not given and body.previous_response_id is None:
        raise invalid("input", "there is nothing to compact; send the items of the conversation")
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    ask = {"type": "message", "role": "user", "content": _ASK}
    asked = {
        "model": body.model,
        "input": [*given, ask],
        "instructions": body.instructions,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "max_output_tokens": _MOST_TOKENS,
    }
    return ResponsesRequest.model_validate(asked)


def compacted(items: Iterable[dict[str, Any]], summary: str) -> list[dict[str, Any]]:
    """Return the messages of the user among ``items``, which are valid, and the summary after
    them."""
    kept = kept_items([item for item in items if item.get("role") == "user"])
    seal = {"id": new_id("cmp"), "type": "compaction", "encrypted_content": sealed(summary)}
    return [*kept, seal]
