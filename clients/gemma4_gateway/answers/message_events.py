"""Events and body of /v1/messages. Both come out of one machine, so they cannot differ."""

from __future__ import annotations

import hashlib
from typing import Any

from gemma4_client import Delta
from pydantic_core import from_json

from gemma4_gateway.answers.forced_calls import listed_calls, named_call
from gemma4_gateway.answers.logprobs import TokenLogProb
from gemma4_gateway.answers.sse import named_event
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["MessageEvents"]

_DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
_TEXTS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}


class MessageEvents:
    """Feed it the chunks of the answer with ``chunk``; then ``end`` for the last events, or
    ``body`` for the whole. ``thoughts``: whether the text of thoughts is shown."""

    def __init__(self, plan: Plan, *, answer_id: str, thoughts: bool = True) -> None:
        self._plan = plan
        self._id = answer_id
        self._thoughts = thoughts
        self._begun = False
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._pieces: list[str] = []
        self._guided: list[str] = []
        self._calls = 0
        self._stop: tuple[str | None, str | None] = (None, None)
        self._out: list[bytes] = []

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Return the events for one chunk of the engine."""
        if not self._begun:
            self._begin(delta)
        if delta.reasoning:
            self._opened("thinking")
            self._piece(delta.reasoning)
        self._output(delta)
        if delta.finish_reason:
            self._close()
            self._stop = self._stopped(delta)
        return self._flush()

    def end(self, usage: UsageCount) -> bytes:
        """Return the last events."""
        reason, word = self._stop
        stop = {"stop_reason": reason, "stop_sequence": word}
        self._event("message_delta", delta=stop, usage=usage.message_body())
        self._event("message_stop")
        return self._flush()

    def body(self, usage: UsageCount) -> dict[str, Any]:
        """Return the whole message."""
        return self._message(usage)

    def _message(self, usage: UsageCount) -> dict[str, Any]:
        reason, word = self._stop
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._plan.model,
            "content": self._blocks,
            "stop_reason": reason,
            "stop_sequence": word,
            "usage": usage.message_body() | {"service_tier": "standard"},
        }

    def _begin(self, delta: Delta) -> None:
        self._begun = True
        usage = UsageCount(1, per_prompt=1)
        usage.add(0, delta)
        self._event("message_start", message=self._message(usage))
        self._event("ping")

    def _stopped(self, delta: Delta) -> tuple[str, str | None]:
        """Return ``stop_reason`` and ``stop_sequence``."""
        if delta.finish_reason == "length":
            most = self._plan.calls[0].options.get("max_tokens", 0)
            if delta.completion_tokens < most:
                return "model_context_window_exceeded", None
            return "max_tokens", None
        if self._calls:
            return "tool_use", None
        named = delta.stop_reason  # a stop string; token ids cannot be named here
        return ("stop_sequence", named) if isinstance(named, str) else ("end_turn", None)

    def _output(self, delta: Delta) -> None:
        mode = self._plan.tool_mode
        if mode == "named":
            if delta.text:
                if not self._calls:
                    self._start_call(named_call(self._plan.tool_name, ""))
                self._piece(delta.text)
            return
        if mode == "required":
            self._guided.append(delta.text)
            calls = listed_calls("".join(self._guided)) if delta.finish_reason else []
        else:
            if delta.text:
                self._opened("text")
                self._piece(delta.text)
            calls = delta.tool_calls if mode == "native" else []
        for call in calls:
            if not (self._plan.one_tool_call and self._calls):
                self._start_call(call)
                self._piece(call["function"]["arguments"])

    def _opened(self, kind: str) -> None:
        """Open a block, unless one of this kind is open."""
        if self._open is None or self._open["type"] != kind:
            empty = {"signature": ""} if kind == "thinking" else {}
            self._start({"type": kind, kind: ""} | empty)

    def _start_call(self, call: dict[str, Any]) -> None:
        self._calls += 1
        name = call["function"]["name"]
        call_id = f"toolu_{call['id'].removeprefix('call_')}"
        self._start({"type": "tool_use", "id": call_id, "name": name, "input": {}})

    def _start(self, block: dict[str, Any]) -> None:
        self._close()
        self._blocks.append(block)
        self._open = block
        self._block_event("content_block_start", content_block=block)

    def _piece(self, text: str) -> None:
        assert self._open is not None
        self._pieces.append(text)
        kind = self._open["type"]
        if text and (self._thoughts or kind != "thinking"):
            self._delta({"type": _DELTAS[kind], _TEXTS[kind]: text})

    def _close(self) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        if block["type"] == "tool_use":
            block["input"] = _input(text)
        elif block["type"] == "text":
            block["text"] = text
        else:
            block["thinking"] = text if self._thoughts else ""
            block["signature"] = hashlib.blake2b(text.encode(), digest_size=24).hexdigest()
            self._delta({"type": "signature_delta", "signature": block["signature"]})
        self._block_event("content_block_stop")

    def _delta(self, delta: dict[str, str]) -> None:
        self._block_event("content_block_delta", delta=delta)

    def _block_event(self, kind: str, **fields: Any) -> None:
        self._event(kind, index=len(self._blocks) - 1, **fields)

    def _event(self, kind: str, **fields: Any) -> None:
        self._out.append(named_event(kind, {"type": kind} | fields))

    def _flush(self) -> bytes:
        events = b"".join(self._out)
        self._out.clear()
        return events


def _input(text: str) -> dict[str, Any]:
    """Return the arguments of a call; of a call that was cut off, as far as they can be read."""
    try:
        found = from_json(text, allow_partial=True)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
