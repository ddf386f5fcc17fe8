"""Events of a chat completion that is streamed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from gemma4_client import Delta

from gemma4_gateway.answers.chat_whole import allowed_calls, finish_reason, thoughts
from gemma4_gateway.answers.envelope import Envelope
from gemma4_gateway.answers.forced_calls import listed_calls, named_call
from gemma4_gateway.answers.logprobs import TokenLogProb, chat_logprobs
from gemma4_gateway.answers.token_ids import NO_PROMPTS, Prompts
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
    """One object for each stream. ``prompts`` has the ids of a choice's prompt when its first chunk
    comes, if the plan wants them."""

    def __init__(
        self, plan: Plan, *, answer_id: str, created: int, prompts: Prompts = NO_PROMPTS
    ) -> None:
        self._plan = plan
        self._prompts = prompts
        self._envelope = envelope = Envelope(
            "chat.completion.chunk", plan, answer_id=answer_id, created=created
        )
        self._choices = [_Choice() for _ in plan.calls]
        self._open = [
            envelope.head + b'{"index":%d,"delta":{"content":' % i for i in range(len(plan.calls))
        ]
        self._close = b'},"logprobs":null,"finish_reason":null}' + envelope.tail
        self._plain = plan.tool_mode in ("none", "native") and not (
            plan.continuous_usage or plan.token_ids
        )

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
        made = self._made(index, choice, delta, log_probs)
        if self._plan.token_ids and delta.ids:
            made = made or [_event(index, {})]
            made[0]["token_ids"] = delta.ids
        return events + b"".join(map(self._envelope.event, made))

    def _made(
        self, index: int, choice: _Choice, delta: Delta, log_probs: list[TokenLogProb] | None
    ) -> list[dict[str, Any]]:
        """Return the choices of the events."""
        made = []
        for part in self._parts(choice, delta):
            shown = "content" in part
            made.append(_event(index, part, log_probs if shown else None))
            if shown and log_probs is not None:
                log_probs = []
        if log_probs:
            made.append(_event(index, {"content": ""}, log_probs))
        if delta.finish_reason:
            finish = finish_reason(delta.finish_reason, called=choice.calls > 0)
            made.append(_event(index, {}, finish=finish, last={"stop_reason": delta.stop_reason}))
        return made

    def end(self, usage: UsageCount) -> bytes:
        """Return the last events, with ``usage`` if it was asked for."""
        return self._envelope.end(usage)

    def _begin(self, index: int, choice: _Choice) -> bytes:
        choice.begun = True
        beside = {"prompt_token_ids": self._prompts[index]} if self._plan.token_ids else None
        return self._envelope.event(_event(index, {"role": "assistant", "content": ""}), beside)

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
    index: int,
    delta: dict[str, Any],
    log_probs: list[TokenLogProb] | None = None,
    *,
    finish: str | None = None,
    last: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    return {
        "index": index,
        "delta": delta,
        "logprobs": None if log_probs is None else chat_logprobs(log_probs),
        "finish_reason": finish,
        **last,
    }
