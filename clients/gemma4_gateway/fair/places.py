"""Places of the back ends, and who gets the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gemma4_gateway.backends.affinity import choose
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.errors import ApiError
from gemma4_gateway.fair import refusals
from gemma4_gateway.fair.cost import CharsPerToken, PromptSize
from gemma4_gateway.fair.limits import QueueLimits
from gemma4_gateway.fair.meter import Meter
from gemma4_gateway.fair.queue import Charge, Entry, FairQueue, Lane
from gemma4_gateway.fair.tenant import Tenant

__all__ = ["Places", "Seat", "Want"]

_LOOK_S = 0.05
"""Seconds between two looks for a place while requests wait: back ends also become free without a
request of ours that ends."""

_LONGER = 1.4
"""How much longer than estimated a wait may be; one that could be too long is refused at once. At
five times of what there is, with answers of exponential lengths, 4 % of all refusals came after the
whole wait without this factor, and 0.3 % with it (simulated by
tests/clients/gateway/test_fair_overload.py)."""

_MAY_BE_TOO_LONG = 0.6
"""Part of the longest prompt above which an estimate is not trusted that it fits."""


@dataclass(slots=True, eq=False)
class Want:
    """One answer that a tenant wants. ``most`` tokens may be generated, None: not said. ``since``
    and ``deadline`` are of the loop's clock. ``tried``: addresses of back ends that did not take
    it. ``again``: it has had its turn, and the back end was full. ``count`` asks a back end how
    many tokens its prompt has, None where it cannot say; ``whole_room``: it may have fewer than
    ``most``.
    """

    tenant: Tenant
    prompt: PromptSize
    most: int | None
    affinity: bytes
    since: float
    deadline: float
    tried: frozenset[str] = frozenset()
    again: bool = False
    count: Callable[[Backend], Awaitable[int | None]] | None = None
    whole_room: bool = False


class Seat:
    """A place at one back end. ``release`` once, with the tokens it did cost; it is safe to call
    again. ``waited``: seconds before it was given."""

    __slots__ = (
        "_begun",
        "_charge",
        "_places",
        "_released",
        "_tokens",
        "_want",
        "backend",
        "waited",
    )

    def __init__(
        self, places: Places, backend: Backend, charge: Charge[Waiter], tokens: int, want: Want
    ) -> None:
        self.backend = backend
        self.waited = 0.0
        self._places = places
        self._charge = charge
        self._tokens = tokens
        self._want = want
        self._released = False
        self._begun = asyncio.get_running_loop().time()
        backend.outstanding += 1
        backend.answers += 1
        backend.expected_tokens += tokens

    def release(self, *, prompt: int = 0, answer: int = 0) -> None:
        """Give it back after a request that had so many tokens, 0 if it was not begun."""
        if self._left():
            seconds = asyncio.get_running_loop().time() - self._begun
            self._places.learn(self._want, prompt, answer, seconds)
            self._places.ended(self._charge, prompt, answer)

    def abandon(self) -> None:
        """Give it back when the prompt may have been read, and nothing came."""
        if self._left():
            self._places.ended(self._charge, self._places.chars.tokens(self._want.prompt), 0)

    def _left(self) -> bool:
        if self._released:
            return False
        self._released = True
        self.backend.outstanding -= 1
        self.backend.answers -= 1
        self.backend.expected_tokens -= self._tokens
        return True


class Waiter:
    """Someone in the queue. ``cancel`` takes it out."""

    def __init__(self, want: Want, places: Places) -> None:
        self.want = want
        self.entry: Entry[Waiter] | None = None
        self.given: asyncio.Future[Seat | None] = asyncio.get_running_loop().create_future()
        self._places = places

    def cancel(self) -> None:
        self.end(refusals.cancelled())

    def end(self, error: ApiError) -> None:
        """End the wait with an error, unless it has ended."""
        if not self.given.done():
            self._places.leave(self)
            self.given.set_exception(error)


class Places:
    """Of the back ends that serve one model: ``serving`` are those that are ready now. ``none``
    makes the error for when there is none. ``imbalance`` and ``salt``: see
    :func:`~gemma4_gateway.backends.affinity.choose`. ``waited`` hears the seconds of each that
    waited."""

    def __init__(
        self,
        serving: Callable[[], Sequence[Backend]],
        limits: QueueLimits,
        *,
        imbalance: int,
        salt: bytes = b"",
        none: Callable[[], ApiError],
        waited: Callable[[str, float], None] = lambda _tenant, _seconds: None,
    ) -> None:
        self._serving = serving
        self._limits = limits
        self._imbalance = imbalance
        self._salt = salt
        self._none = none
        self._waited = waited
        self._meter = Meter()
        self._tick: asyncio.TimerHandle | None = None
        self.queue: FairQueue[Waiter] = FairQueue()
        self.chars = CharsPerToken()

    async def take(self, want: Want, calls: OpenCalls) -> Seat | None:
        """Return a place, at once if there is one and nobody waits. None: every back end has been
        tried. ``calls`` gets the wait, which its ``cancel`` ends. Raises
        :class:`~gemma4_gateway.errors.ApiError`."""
        serving = self._serving()
        if all(backend.address in want.tried for backend in serving):
            return None
        lane = self.queue.lane(want.tenant)
        tokens = self._expected(want, lane)
        if not len(self.queue) or not self._limits.length:
            backend = self._place(want, tokens, serving)
            if backend is not None:
                return Seat(self, backend, self.queue.start(lane, tokens), tokens, want)
        if not want.again:
            tokens += await self._check_fits(want, serving)
            self._check_wait(want, lane, tokens)
        waiter = self._enter(want, lane, tokens)
        timer = self._loop().call_at(self._until(want), self._too_late, waiter)
        calls.add(waiter)
        try:
            seat = await waiter.given
        except BaseException:
            self.leave(waiter)
            _give_back(waiter.given)
            raise
        finally:
            timer.cancel()
            calls.remove(waiter)
        if seat is not None:
            seat.waited = self._loop().time() - want.since
            self._waited(want.tenant.name, seat.waited)
        return seat

    def look(self) -> None:
        """Give the places that there are. Call it when back ends have changed."""
        while (entry := self.queue.head()) is not None:
            serving, waiter = self._serving(), entry.item
            want = waiter.want
            if waiter.given.done():  # its task was cancelled and has not run since
                self.queue.remove(entry)
            elif not serving:
                waiter.end(self._none())
            elif all(backend.address in want.tried for backend in serving):
                self.queue.remove(entry)
                waiter.given.set_result(None)
            elif (backend := self._place(want, entry.tokens, serving)) is not None:
                charge = self.queue.take(entry)
                waiter.given.set_result(Seat(self, backend, charge, entry.tokens, want))
            else:
                break
        self._looked()

    def push_out(self, tenant: Tenant) -> bool:
        """Refuse the newest of whom most wait, for one of ``tenant``; False when that is nobody
        else."""
        entry = self.queue.longest(self.queue.lane(tenant))
        if entry is not None:
            entry.item.end(refusals.pushed_out())
        return entry is not None

    def leave(self, waiter: Waiter) -> None:
        """Take one out of the queue, if it is there."""
        if waiter.entry is not None and self.queue.remove(waiter.entry):
            self._looked()

    def learn(self, want: Want, prompt: int, answer: int, seconds: float) -> None:
        """Note how many tokens a prompt and its answer had, and how long they took."""
        self.chars.learn(want.prompt, prompt)
        self._meter.took(answer, seconds)

    def ended(self, charge: Charge[Waiter], prompt: int, answer: int) -> None:
        """Settle what a request did cost, and give its place to the next one."""
        self.queue.settle(charge, prompt + answer, answer=answer)
        if prompt:  # in expected tokens, as what waits is counted, whatever it is off by
            self._meter.ended(charge.tokens, self._loop().time())
        if len(self.queue):
            self.look()

    def wait_of(self, lane: Lane[Waiter]) -> float | None:
        """Estimate the seconds that one more of this lane would wait; None: not known."""
        rate = self._meter.rate
        if rate is None:
            return None
        return (self.queue.tokens_ahead(lane) + self._meter.mean_tokens) / rate

    async def _check_fits(self, want: Want, serving: Sequence[Backend]) -> int:
        """Refuse what no back end can ever take, before it waits: by the number of tokens that is
        asked for, and by the exact length of a prompt that may be too long. Return what the
        estimate of the prompt was short of. Raises 400."""
        infos = [backend.info for backend in serving if backend.info is not None]
        if len(infos) < len(serving):
            return 0
        most = max(info.max_total_tokens for info in infos)
        if want.most is not None and want.most >= most and not want.whole_room:
            raise refusals.too_many_tokens(want.most, most)
        longest = max(info.max_prompt_tokens for info in infos)
        estimate = self.chars.tokens(want.prompt)
        if want.count is None or estimate < longest * _MAY_BE_TOO_LONG:
            return 0
        exact = want.prompt.tokens
        if exact is None:
            exact = await want.count(serving[0])
        if exact is None:
            return 0
        if exact > longest:
            raise refusals.prompt_too_long(exact, longest)
        want.prompt = PromptSize(want.prompt.chars, exact)
        return exact - estimate

    def _check_wait(self, want: Want, lane: Lane[Waiter], tokens: int) -> None:
        """Refuse one that has no room in the queue, or would wait in vain. Raises 429."""
        limits, wait = self._limits, self.wait_of(lane)
        if len(lane.entries) >= limits.length:
            raise refusals.too_many_waiting(f"{len(lane.entries)} answers", wait)
        if lane.entries and lane.tokens + tokens > limits.tokens:
            raise refusals.too_many_waiting(f"answers of about {lane.tokens} tokens", wait)
        if wait is None:
            return
        wait *= _LONGER
        now = self._loop().time()
        if wait > (allowed := self._until(want) - now):
            raise refusals.wait_too_long(wait, allowed)
        answer = min(lane.answer, want.most or lane.answer)
        total = wait + answer * self._meter.seconds_per_token
        if total > (allowed := want.deadline - now):
            raise refusals.wait_too_long(total, allowed)

    def _enter(self, want: Want, lane: Lane[Waiter], tokens: int) -> Waiter:
        waiter = Waiter(want, self)
        waiter.entry = self.queue.push(lane, waiter, tokens, front=want.again)
        self._meter.begin(self._loop().time())
        if self._tick is None:
            self._tick = self._loop().call_later(_LOOK_S, self._ticked)
        return waiter

    def _expected(self, want: Want, lane: Lane[Waiter]) -> int:
        answer = int(lane.answer)
        return self.chars.tokens(want.prompt) + min(answer, want.most or answer)

    def _place(self, want: Want, tokens: int, serving: Sequence[Backend]) -> Backend | None:
        """Return the back end to send to now; None when none has a place."""
        untried = [b for b in serving if b.address not in want.tried]
        calm = [b for b in untried if not b.avoided] or untried
        if self._limits.length:
            calm = [b for b in calm if b.has_place(tokens)]
        if not calm:
            return None
        return choose(calm, want.affinity, imbalance=self._imbalance, salt=self._salt)

    def _until(self, want: Want) -> float:
        own = want.tenant.queue_s
        seconds = self._limits.seconds if own is None else min(own, self._limits.seconds)
        return min(want.deadline, want.since + seconds)

    def _too_late(self, waiter: Waiter) -> None:
        assert waiter.entry is not None
        wait = self.wait_of(waiter.entry.lane)
        waited = self._loop().time() - waiter.want.since
        waiter.end(refusals.waited_in_vain(waited, wait))

    def _looked(self) -> None:
        if not len(self.queue):
            self._meter.stop(self._loop().time())
            if self._tick is not None:
                self._tick.cancel()
                self._tick = None

    def _ticked(self) -> None:
        self._tick = self._loop().call_later(_LOOK_S, self._ticked)
        self.look()

    @staticmethod
    def _loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()


def _give_back(given: asyncio.Future[Seat | None]) -> None:
    """Release a place that was given just as the task that waited for it was cancelled."""
    if given.done() and not given.cancelled() and given.exception() is None:
        seat = given.result()
        if seat is not None:
            seat.release()
