"""Body and events of /v1/completions."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from gemma4_client import Delta

from gemma4_gateway.answers.envelope import Envelope, whole_body
from gemma4_gateway.answers.logprobs import TokenLogProb, completion_logprobs
from gemma4_gateway.answers.token_ids import NO_PROMPTS, Prompts, add_to_completion
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["CompletionEvents", "completion_body"]

KIND = "text_completion"


def _choice(
    plan: Plan, index: int, answer: Delta, log_probs: list[TokenLogProb] | None
) -> dict[str, Any]:
    top = plan.top_log_probs > 0
    return {
        "index": index,
        "text": answer.text,
        "logprobs": None if log_probs is None else completion_logprobs(log_probs, top=top),
        "finish_reason": answer.finish_reason or None,
        "stop_reason": answer.stop_reason,
    }


completion_body = partial(whole_body, KIND, _choice, add_to_completion)


class CompletionEvents:
    """As :class:`~gemma4_gateway.answers.chat_events.ChatEvents`."""

    def __init__(
        self, plan: Plan, *, answer_id: str, created: int, prompts: Prompts = NO_PROMPTS
    ) -> None:
        self._plan = plan
        self._prompts = prompts
        self._told: set[int] = set()
        self._envelope = envelope = Envelope(KIND, plan, answer_id=answer_id, created=created)
        self._open = [envelope.head + b'{"index":%d,"text":' % i for i in range(len(plan.calls))]
        self._close = b',"logprobs":null,"finish_reason":null}' + envelope.tail
        self._plain = not (plan.continuous_usage or plan.token_ids)

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Events for one chunk of the engine; b"" when it shows nothing."""
        if log_probs is None and not delta.finish_reason:
            if not delta.text and not (self._plan.token_ids and delta.ids):
                return b""
            if self._plain:
                return self._open[index] + orjson.dumps(delta.text) + self._close
        self._envelope.count(delta)
        choice = _choice(self._plan, index, delta, log_probs)
        if self._plan.token_ids:
            choice["token_ids"] = delta.ids
            if index not in self._told:
                self._told.add(index)
                choice["prompt_token_ids"] = self._prompts[index]
        return self._envelope.event(choice)

    def end(self, usage: UsageCount) -> bytes:
        """Make the last events, with ``usage`` if it was asked for."""
        return self._envelope.end(usage)
