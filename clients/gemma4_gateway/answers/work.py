"""Carry out a plan: ask the engine, write the answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from gemma4_client import Delta, Gemma4Error
from gemma4_client.errors import Code
from gemma4_runtime.contract.inputs import SAMPLING

from gemma4_gateway.answers.logprobs import TokenLogProb, TokenLogProbs
from gemma4_gateway.answers.merge import Begin, chunks_of, gathered
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.backends.router import Answering, Router
from gemma4_gateway.errors import ApiError
from gemma4_gateway.fair.cost import PromptSize, prompt_size
from gemma4_gateway.record import Record
from gemma4_gateway.reply import Out
from gemma4_gateway.translate.failures import started_failure
from gemma4_gateway.translate.request_plan import EngineCall, Plan

__all__ = ["Body", "Events", "Work"]

_DECLARED = {option.name: option.default for option in SAMPLING if option.default is not None}
"""Gemma 4's published values of sampling options."""


class Events(Protocol):
    """Makes the events of one stream."""

    def chunk(self, index: int, delta: Delta, log_probs: list[TokenLogProb] | None, /) -> bytes: ...

    def end(self, usage: UsageCount, /) -> bytes: ...


Body = Callable[..., dict[str, Any]]


class Work:
    """One request. ``prefix`` starts the answer's id."""

    def __init__(
        self, plan: Plan, router: Router, record: Record, *, timeout: float, prefix: str
    ) -> None:
        self.plan = plan
        self._router = router
        self.record = record
        self._timeout = timeout
        self.calls = OpenCalls()
        self.answer_id = f"{prefix}-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self._trackers = [TokenLogProbs() for _ in plan.calls] if plan.log_probs else None
        self._sizes: dict[int, PromptSize] = {}
        self._backends: dict[int, Answering] = {}
        self.prompts: dict[int, list[int]] = {}
        """Token ids of the prompt of each choice that has begun, if the plan wants them."""
        record.model, record.streamed = plan.model, plan.stream

    async def stream(
        self,
        out: Out,
        events: Events,
        before_end: Callable[[UsageCount], Awaitable[None]] | None = None,
    ) -> None:
        """Write events until the answer is whole. ``before_end`` is awaited before the last ones
        are made."""
        usage = self.usage()
        still_open = len(self.plan.calls)
        last = b""
        async with aclosing(chunks_of(self.begins())) as chunks:
            async for index, delta in chunks:
                self.note(index, delta, usage)
                log_probs = await self.log_probs(index, delta) if self._trackers else None
                data = events.chunk(index, delta, log_probs)
                still_open -= bool(delta.finish_reason)
                if still_open:
                    await out.events(data)
                else:  # goes out with the end: a write costs as much as everything else here
                    last += data
        if before_end is not None:
            await before_end(usage)
        await out.end(last + events.end(usage))

    async def whole(self, out: Out, body: Body) -> None:
        """Write one JSON object."""
        answers, log_probs, usage = await self.gathered()
        await out.json(
            body(
                self.plan,
                answers,
                log_probs,
                answer_id=self.answer_id,
                created=self.created,
                usage=usage,
            )
        )

    async def gathered(
        self,
    ) -> tuple[list[Delta], list[list[TokenLogProb]] | None, UsageCount]:
        """Return the whole answer of every choice, their log-probs if asked for, and the counts."""
        answers = await self.answers()
        usage = self.usage()
        for index, answer in enumerate(answers):
            self.note(index, answer, usage)
        log_probs = None
        if self._trackers:
            log_probs = [await self.log_probs(i, answer) for i, answer in enumerate(answers)]
        return answers, log_probs, usage

    async def answers(self) -> list[Delta]:
        """Return the whole answer of every choice."""
        return await gathered(self.begins())

    def begins(self) -> list[Begin]:
        """Begin one call for each choice."""
        return [partial(self._begin, i, call) for i, call in enumerate(self.plan.calls)]

    async def _begin(self, index: int, call: EngineCall) -> Answering:
        try:
            answering = await self._begin_as_it_is(index, call)
        except ApiError as error:
            if not self.plan.whole_room or error.cause != Code.TOO_MANY_TOKENS:
                raise
            options = {k: v for k, v in call.options.items() if k != "max_tokens"}
            answering = await self._begin_as_it_is(index, replace(call, options=options))
        if self.record.first_token is None:
            self.record.first_token = time.perf_counter()
        if self.plan.token_ids:
            await self._note_prompt(index, call, answering)
        self._backends[index] = answering
        self.record.backends.append(answering.backend.address)
        self.record.queued = max(self.record.queued, answering.waited)
        return answering

    async def _begin_as_it_is(self, index: int, call: EngineCall) -> Answering:
        many = len(self.plan.calls) > 1
        return await self._router.begin(
            call,
            model=self.plan.model,
            stream=self.plan.stream,
            affinity=self.plan.affinity,
            request_id=f"{self.record.request_id}-{index}" if many else self.record.request_id,
            timeout=self._timeout,
            names=self.plan.names | call.names,
            calls=self.calls,
            tenant=self.record.key.tenant,
            size=self._size(index // self.plan.per_prompt, call),
            trace=self.record.trace,
            whole_room=self.plan.whole_room,
        )

    def _size(self, prompt: int, call: EngineCall) -> PromptSize:
        if (found := self._sizes.get(prompt)) is None:
            found = self._sizes[prompt] = prompt_size(call)
        return found

    async def _note_prompt(self, index: int, call: EngineCall, answering: Answering) -> None:
        if call.token_ids is not None:
            self.prompts[index] = call.token_ids
            return
        try:
            self.prompts[index] = await answering.backend.prompt_ids(call)
        except BaseException as error:
            answering.close()
            if isinstance(error, Gemma4Error):
                raise started_failure(error) from None
            raise

    def sampling(self) -> dict[str, float]:
        """Return what sampling options are that the request left out, on the back end that answers
        it; what is declared where that back end does not say it."""
        infos = [answering.backend.info for answering in self._backends.values()]
        said = infos[0].sampling if infos and infos[0] is not None else {}
        return _DECLARED | dict(said)

    def usage(self) -> UsageCount:
        """Return a counter."""
        return UsageCount(len(self.plan.calls), per_prompt=self.plan.per_prompt)

    def note(self, index: int, delta: Delta, usage: UsageCount) -> None:
        """Count a chunk."""
        usage.add(index, delta)
        if delta.finish_reason:
            self.record.finish = delta.finish_reason
        self.record.prompt_tokens = usage.prompt
        self.record.completion_tokens = usage.completion

    async def log_probs(self, index: int, delta: Delta) -> list[TokenLogProb]:
        """Return the log-probs of the tokens whose text has come with this chunk."""
        assert self._trackers is not None
        table, best = self._backends[index].backend.tokens, delta.top_log_probs
        try:
            found = await table.bytes_of(delta.ids + [t for top in best for t, _ in top])
        except Gemma4Error as error:
            raise started_failure(error) from None
        size = len(delta.ids)
        others = iter(found[size:])
        tops = [[(next(others), log_prob) for _, log_prob in top] for top in best]
        return self._trackers[index].add(found[:size], delta, tops)
