"""Body and events of /v1/completions."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from gemma4_client import Delta

from gemma4_gateway.answers.envelope import Envelope, whole_body
from gemma4_gateway.answers.logprobs import TokenLogProb, completion_logprobs
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["CompletionEvents", "completion_body"]

KIND = "text_completion"


def _choice(
    _: Plan, index: int, answer: Delta, log_probs: list[TokenLogProb] | None
) -> dict[str, Any]:
    return {
        "index": index,
        "text": answer.text,
        "logprobs": None if log_probs is None else completion_logprobs(log_probs),
        "finish_reason": answer.finish_reason or None,
    }


completion_body = partial(whole_body, KIND, _choice)


class CompletionEvents:
    """As :class:`~gemma4_gateway.answers.chat_events.ChatEvents`."""

    def __init__(self, plan: Plan, *, answer_id: str, created: int) -> None:
        self._plan = plan
        self._envelope = envelope = Envelope(KIND, plan, answer_id=answer_id, created=created)
        self._open = [envelope.head + b'{"index":%d,"text":' % i for i in range(len(plan.calls))]
        self._close = b',"logprobs":null,"finish_reason":null}' + envelope.tail
        self._plain = not plan.continuous_usage

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Events for one chunk of the engine; b"" when it shows nothing."""
        if log_probs is None and not delta.finish_reason:
            if not delta.text:
                return b""
            if self._plain:
                return self._open[index] + orjson.dumps(delta.text) + self._close
        self._envelope.count(delta)
        return self._envelope.event(_choice(self._plan, index, delta, log_probs))

    def end(self, usage: UsageCount) -> bytes:
        """Make the last events, with ``usage`` if it was asked for."""
        return self._envelope.end(usage)
