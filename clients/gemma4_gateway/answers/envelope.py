"""What chat completions and completions have around their choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gemma4_client import Delta

from gemma4_gateway.answers.logprobs import TokenLogProb
from gemma4_gateway.answers.sse import DONE
from gemma4_gateway.answers.token_ids import NO_PROMPTS, Prompts
from gemma4_gateway.answers.usage import UsageCount, usage_of
from gemma4_gateway.jsons import dumps
from gemma4_gateway.translate.request_plan import Plan

__all__ = ["Envelope", "whole_body"]


Choice = Callable[[Plan, int, Delta, list[TokenLogProb] | None], dict[str, Any]]
"""Makes the choice with a number out of its whole answer."""


def whole_body(
    kind: str,
    choice: Choice,
    add_ids: Callable[[dict[str, Any], Sequence[Delta], Prompts], None],
    plan: Plan,
    answers: list[Delta],
    log_probs: list[list[TokenLogProb]] | None,
    *,
    answer_id: str,
    created: int,
    usage: UsageCount,
    prompts: Prompts = NO_PROMPTS,
) -> dict[str, Any]:
    """Make the answer to a request that is not streamed. ``kind`` is the value of ``object``;
    ``answers`` are whole, one for each choice; ``add_ids`` puts the token ids in, if the plan wants
    them."""
    body = {
        "id": answer_id,
        "object": kind,
        "created": created,
        "model": plan.model,
        "choices": [
            choice(plan, i, answer, None if log_probs is None else log_probs[i])
            for i, answer in enumerate(answers)
        ],
        "usage": usage.body(),
        "system_fingerprint": None,
    }
    if plan.token_ids:
        add_ids(body, answers, prompts)
    return body


_END = b"}\n\n"


class Envelope:
    """Of events. It does not change while they come, so it is serialized once: an event is
    ``head``, the JSON of a choice, ``tail``."""

    def __init__(self, kind: str, plan: Plan, *, answer_id: str, created: int) -> None:
        fields = {
            "id": answer_id,
            "object": kind,
            "created": created,
            "model": plan.model,
            "system_fingerprint": None,
        }
        self._include_usage = plan.include_usage
        self.head = b"data: " + dumps(fields)[:-1] + b',"choices":['
        self.tail = b'],"usage":null}\n\n' if plan.include_usage else b"]}\n\n"
        self._continuous = plan.continuous_usage

    def count(self, delta: Delta) -> None:
        """Have the events that follow say the tokens so far of this chunk's choice, if that was
        asked for."""
        if self._continuous:
            self.tail = b'],"usage":' + dumps(usage_of(delta)) + b"}\n\n"

    def event(self, choice: dict[str, Any], beside: dict[str, Any] | None = None) -> bytes:
        """One event, with fields ``beside`` the choices."""
        made = self.head + dumps(choice) + self.tail
        return made if beside is None else made[: -len(_END)] + b"," + dumps(beside)[1:-1] + _END

    def end(self, usage: UsageCount) -> bytes:
        """Make the last events, with ``usage`` if it was asked for."""
        if not self._include_usage:
            return DONE
        return self.head + b'],"usage":' + dumps(usage.body()) + b"}\n\n" + DONE
