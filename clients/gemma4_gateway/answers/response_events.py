"""Events and body of /v1/responses. Both come out of one machine, so they cannot differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gemma4_client import Delta

from gemma4_gateway.answers.chat_whole import allowed_calls
from gemma4_gateway.answers.forced_calls import listed_calls, named_call
from gemma4_gateway.answers.logprobs import TokenLogProb, chat_logprobs
from gemma4_gateway.answers.response_items import (
    call_item,
    custom_input,
    message_item,
    reasoning_item,
)
from gemma4_gateway.answers.sse import named_event
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.errors import ApiError
from gemma4_gateway.translate.response_tools import Called
from gemma4_gateway.translate.responses import ResponsePlan
from gemma4_gateway.translate.thoughts import sealed

__all__ = ["ResponseEvents"]


class ResponseEvents:
    """Feed it the chunks of the answer with ``chunk``; then ``end`` for the last events, or
    ``body`` for the whole. ``sampling`` gives, once the answer has begun, what an option is that
    the request left out."""

    def __init__(
        self,
        request: ResponsePlan,
        *,
        answer_id: str,
        created: int,
        sampling: Callable[[], Mapping[str, float]],
    ) -> None:
        self._request = request
        self._plan = request.plan
        self._sampling = sampling
        self._id = answer_id
        self._created = created
        self._sequence = 0
        self._begun = False
        self._items: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._pieces: list[str] = []
        self._guided: list[str] = []
        self._calls = 0
        self._finish = ""
        self._out: list[bytes] = []
        self._whole: dict[str, Any] | None = None

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Return the events for one chunk of the engine."""
        self._begin()
        if delta.reasoning:
            self._reasoning(delta.reasoning)
        self._output(delta, log_probs)
        if delta.finish_reason:
            self._finish = delta.finish_reason
            self._close()
        return self._flush()

    def end(self, usage: UsageCount) -> bytes:
        """Return the last events."""
        self._begin()
        body = self.body(usage)
        self._event(f"response.{body['status']}", response=body)
        return self._flush()

    def error(self, error: ApiError) -> bytes:
        """Return the last event of an answer that failed. ``error`` is there twice: flat as
        OpenAI's event has it, and as an object, which OpenAI's package raises as an exception."""
        self._event("error", **error.body(), code=error.code, message=error.message,
                    param=error.param)  # fmt: skip
        return self._flush()

    def body(self, usage: UsageCount) -> dict[str, Any]:
        """Return the whole response, the same object each time."""
        if self._whole is not None:
            return self._whole
        cut = self._finish == "length"
        found = self._body("incomplete" if cut else "completed")
        found["incomplete_details"] = {"reason": "max_output_tokens"} if cut else None
        found["completed_at"] = None if cut else int(time.time())
        found["usage"] = usage.response_body()
        self._whole = found
        return found

    def _body(self, status: str) -> dict[str, Any]:
        said, sampling = self._request.said, self._sampling()
        left_out = {name for name, value in said.items() if value is None} & sampling.keys()
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._plan.model,
            "output": self._items,
            "usage": None,
        } | {name: sampling[name] if name in left_out else said[name] for name in said}

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._event("response.created", response=self._body("in_progress"))
            self._event("response.in_progress", response=self._body("in_progress"))

    def _output(self, delta: Delta, log_probs: list[TokenLogProb] | None) -> None:
        mode = self._plan.tool_mode
        if mode == "named":
            if delta.text:
                if not self._calls:
                    self._start_call(named_call(self._plan.tool_name, ""))
                self._arguments(delta.text)
            return
        if mode == "required":
            self._guided.append(delta.text)
            calls = listed_calls("".join(self._guided)) if delta.finish_reason else []
        else:
            if delta.text or log_probs:
                self._text(delta.text, log_probs)
            calls = allowed_calls(self._plan, delta.tool_calls) if mode == "native" else []
        for call in calls:
            if not (self._plan.one_tool_call and self._calls):
                self._start_call(call)
                self._arguments(call["function"]["arguments"])

    def _reasoning(self, text: str) -> None:
        item = self._opened("reasoning")
        self._pieces.append(text)
        self._item_event("response.reasoning_text.delta", item, content_index=0, delta=text)

    def _text(self, text: str, log_probs: list[TokenLogProb] | None) -> None:
        item = self._opened("message")
        self._pieces.append(text)
        shown = chat_logprobs(log_probs)["content"] if log_probs else []
        item["content"][0]["logprobs"] += shown
        self._item_event(
            "response.output_text.delta", item, content_index=0, delta=text, logprobs=shown
        )

    def _opened(self, kind: str) -> dict[str, Any]:
        """Return the item at the end, if it is of this kind and open; else a new one."""
        if self._open is not None and self._open["type"] == kind:
            return self._open
        self._close()
        item, part = message_item() if kind == "message" else reasoning_item()
        self._add(item)
        self._item_event("response.content_part.added", item, content_index=0, part=part)
        item["content"] = [part]
        return item

    def _start_call(self, call: dict[str, Any]) -> None:
        self._close()
        self._calls += 1
        name = call["function"]["name"]
        self._add(call_item(call, self._request.called.get(name) or Called(name)))

    def _arguments(self, text: str) -> None:
        assert self._open is not None
        self._pieces.append(text)
        if self._open["type"] == "function_call":
            self._item_event("response.function_call_arguments.delta", self._open, delta=text)

    def _add(self, item: dict[str, Any]) -> None:
        self._items.append(item)
        self._open = item
        self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _close(self) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        if item["type"] == "function_call":
            item["arguments"] = text
            self._item_event(
                "response.function_call_arguments.done", item, name=item["name"], arguments=text
            )
        elif item["type"] == "custom_tool_call":
            item["input"] = custom_input(text)
            kind = "response.custom_tool_call_input"
            self._item_event(f"{kind}.delta", item, delta=item["input"])
            self._item_event(f"{kind}.done", item, input=item["input"])
        else:
            self._close_text(item, text)
        item["status"] = "incomplete" if self._finish == "length" else "completed"
        self._event("response.output_item.done", output_index=len(self._items) - 1, item=item)

    def _close_text(self, item: dict[str, Any], text: str) -> None:
        part = item["content"][0]
        part["text"] = text
        done = {"content_index": 0, "text": text}
        if item["type"] == "message":
            done["logprobs"] = part["logprobs"]
            self._item_event("response.output_text.done", item, **done)
        else:
            if self._request.encrypted:
                item["encrypted_content"] = sealed(text)
            self._item_event("response.reasoning_text.done", item, **done)
        self._item_event("response.content_part.done", item, content_index=0, part=part)

    def _item_event(self, kind: str, item: dict[str, Any], **fields: Any) -> None:
        self._event(kind, item_id=item["id"], output_index=len(self._items) - 1, **fields)

    def _event(self, kind: str, **fields: Any) -> None:
        self._out.append(
            named_event(kind, {"type": kind, "sequence_number": self._sequence} | fields)
        )
        self._sequence += 1

    def _flush(self) -> bytes:
        events = b"".join(self._out)
        self._out.clear()
        return events
