"""Body and events of /v1/completions."""

from __future__ import annotations

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
    index: int, text: str, log_probs: list[TokenLogProb] | None, finish: str | None
) -> dict[str, Any]:
    shown = None if log_probs is None else completion_logprobs(log_probs)
    return {"index": index, "text": text, "logprobs": shown, "finish_reason": finish}


def completion_body(
    plan: Plan,
    answers: list[Delta],
    log_probs: list[list[TokenLogProb]] | None,
    *,
    answer_id: str,
    created: int,
    usage: UsageCount,
) -> dict[str, Any]:
    """``answers`` are whole, one for each choice."""
    choices = [
        _choice(i, a.text, None if log_probs is None else log_probs[i], a.finish_reason)
        for i, a in enumerate(answers)
    ]
    return whole_body(KIND, plan, choices, answer_id=answer_id, created=created, usage=usage)


class CompletionEvents:
    """As :class:`~gemma4_gateway.answers.chat_events.ChatEvents`."""

    def __init__(self, plan: Plan, *, answer_id: str, created: int) -> None:
        self._plan = plan
        self._envelope = envelope = Envelope(KIND, plan, answer_id=answer_id, created=created)
        self._open = [envelope.head + b'{"index":%d,"text":' % i for i in range(len(plan.calls))]
        self._close = b',"logprobs":null,"finish_reason":null}' + envelope.tail

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None) -> bytes:
        """Events for one chunk of the engine; b"" when it shows nothing."""
        if log_probs is None and not delta.finish_reason:
            if not delta.text:
                return b""
            return self._open[index] + orjson.dumps(delta.text) + self._close
        choice = _choice(index, delta.text, log_probs, delta.finish_reason or None)
        return self._envelope.event(choice)

    def end(self, usage: UsageCount) -> bytes:
        """The last events, with ``usage`` if it was asked for."""
        return self._envelope.end(usage)
