"""Events of a chat completion that is streamed."""

from __future__ import annotations

from typing import Any

import orjson
from gemma4_client import Delta

from gemma4_gateway.answers.chat_whole import allowed_calls, finish_reason, thoughts
from gemma4_gateway.answers.envelope import Envelope
from gemma4_gateway.answers.forced_calls import listed_calls, named_call
from gemma4_gateway.answers.logprobs import TokenLogProb, chat_logprobs
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["ChatEvents"]


class _Choice:
    __slots__ = ("begun", "calls", "text")

    def __init__(self) -> None:
        self.begun = False
        self.calls = 0
        self.text: list[str] = []


class ChatEvents:
    """One object for each stream."""

    def __init__(self, plan: Plan, *, answer_id: str, created: int) -> None:
        self._plan = plan
        self._envelope = envelope = Envelope(
            "chat.completion.chunk", plan, answer_id=answer_id, created=created
        )
        self._choices = [_Choice() for _ in plan.calls]
        self._open = [
            envelope.head + b'{"index":%d,"delta":{"content":' % i for i in range(len(plan.calls))
        ]
        self._close = b'},"logprobs":null,"finish_reason":null}' + envelope.tail
        self._plain = plan.tool_mode in ("none", "native") and not plan.continuous_usage

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Return the events for one chunk of the engine; b"" when it shows nothing."""
        choice = self._choices[index]
        simple = (
            choice.begun
            and log_probs is None
            and not (delta.reasoning or delta.tool_calls or delta.finish_reason)
            and self._plain
        )
        if simple:
            if not delta.text:
                return b""
            return self._open[index] + orjson.dumps(delta.text) + self._close
        self._envelope.count(delta)
        events = b"" if choice.begun else self._begin(index, choice)
        for part in self._parts(choice, delta):
            events += self._event(index, part, log_probs if "content" in part else None, None)
            log_probs = [] if log_probs is not None else None
        if log_probs:
            events += self._event(index, {"content": ""}, log_probs, None)
        if delta.finish_reason:
            finish = finish_reason(delta.finish_reason, called=choice.calls > 0)
            events += self._event(index, {}, None, finish)
        return events

    def end(self, usage: UsageCount) -> bytes:
        """Return the last events, with ``usage`` if it was asked for."""
        return self._envelope.end(usage)

    def _begin(self, index: int, choice: _Choice) -> bytes:
        choice.begun = True
        return self._event(index, {"role": "assistant", "content": ""}, None, None)

    def _parts(self, choice: _Choice, delta: Delta) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if delta.reasoning:
            parts.append(thoughts(delta.reasoning))
        mode = self._plan.tool_mode
        if mode == "named":
            return parts + self._named(choice, delta)
        if mode == "required":
            choice.text.append(delta.text)
            calls = listed_calls("".join(choice.text)) if delta.finish_reason else []
            return parts + self._calls(choice, calls)
        if delta.text:
            parts.append({"content": delta.text})
        if mode == "native" and delta.tool_calls:
            parts += self._calls(choice, allowed_calls(self._plan, delta.tool_calls))
        return parts

    def _named(self, choice: _Choice, delta: Delta) -> list[dict[str, Any]]:
        if not delta.text:
            return []
        if not choice.calls:
            choice.calls = 1
            return [{"tool_calls": [{"index": 0} | named_call(self._plan.tool_name, delta.text)]}]
        return [{"tool_calls": [{"index": 0, "function": {"arguments": delta.text}}]}]

    def _calls(self, choice: _Choice, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        parts = []
        for call in calls:
            if self._plan.one_tool_call and choice.calls:
                break
            parts.append({"tool_calls": [{"index": choice.calls} | call]})
            choice.calls += 1
        return parts

    def _event(
        self,
        index: int,
        delta: dict[str, Any],
        log_probs: list[TokenLogProb] | None,
        finish: str | None,
    ) -> bytes:
        return self._envelope.event(
            {
                "index": index,
                "delta": delta,
                "logprobs": None if log_probs is None else chat_logprobs(log_probs),
                "finish_reason": finish,
            }
        )
