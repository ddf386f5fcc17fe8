"""The course of one simulation: arrivals, gateways, engines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from gemma4_plan.simulate.agenda import Agenda
from gemma4_plan.simulate.arrivals import BATCH, Batch, Draws, open_loop
from gemma4_plan.simulate.engine import Engine
from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.gates import Gate
from gemma4_plan.simulate.host_times import HostTimes
from gemma4_plan.simulate.ledger import Ledger
from gemma4_plan.simulate.request import Request
from gemma4_plan.simulate.routing import LOOK_EVERY_S, Router, jump, jumps
from gemma4_plan.simulate.scaling import Losses, Scaler
from gemma4_plan.simulate.step_engine import StepEngine
from gemma4_plan.simulate.steps import StreamPace
from gemma4_plan.simulate.stream_engine import StreamEngine
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["Simulation"]

_NO_ONE = frozenset[int]()
_PAUSE_S = 0.1
"""Seconds before a user asks again after a failure, as in ``gemma4 load``."""


class Simulation:
    """``fleet`` as it is simulated: ``share`` of the real one, which gets that share of the
    traffic. A :class:`~gemma4_plan.simulate.sink.Sink` of its engines and the
    :class:`~gemma4_plan.simulate.scaling.Crowd` of its autoscaling."""

    def __init__(self, traffic: Traffic, fleet: Fleet, seed: int, *, share: float) -> None:
        self.ledger = Ledger(traffic)
        self.agenda = Agenda()
        self.waiting = self.suspended = self.outstanding = self.requests = 0
        self.present, self.starting = fleet.replicas, 0
        self._traffic, self._fleet, self._share = traffic, fleet, share
        self._most = fleet.most
        self._engines = [self._engine(number) for number in range(self._most)]
        self._down: set[int] = set()  # present, and lost for now
        self._leaving: set[Engine] = set()
        gateway = fleet.gateway
        self._loads = [0] * self._most  # requests of all gateways at each replica
        self._routers = [self._router(number) for number in range(gateway.gateways)]
        self._gates = [Gate(gateway, gateway.max_running) for _ in self._routers]
        for router in self._routers:
            for replica in range(self.present):
                router.open(replica)
        self._draws = Draws(traffic, seed)
        self._host = HostTimes(fleet.replica.host, seed) if fleet.replica.host else None
        self._marked = 0.0
        self._arriving = True
        self._moved = True  # the preferences of the batch are void
        if fleet.autoscaling is not None:
            Scaler(fleet.autoscaling, fleet.replica.slots, share, self, self.agenda)
        if fleet.failures is not None:
            rng = np.random.default_rng([seed, 100])
            Losses(fleet.failures, self._most, rng, self, self.agenda)

    def _router(self, number: int) -> Router:
        gateway = self._fleet.gateway
        if gateway.gateways == 1:
            return Router(self._most, gateway.imbalance)
        share = number / gateway.gateways
        return Router(
            self._most, gateway.imbalance, loads=self._loads, phase=LOOK_EVERY_S * share,
            salt=int(share * 2**64),
        )  # fmt: skip

    def _engine(self, number: int) -> Engine:
        replica = self._fleet.replica
        if isinstance(replica.pace, StreamPace):
            return StreamEngine(replica, replica.pace, number, self.agenda, self)
        return StepEngine(replica, replica.pace, number, self.agenda, self)

    @property
    def over(self) -> bool:
        """Whether nothing comes any more, and nothing runs."""
        return not self._arriving and not self.outstanding

    def run(self) -> None:
        """Go on until nothing runs."""
        if self._traffic.users is not None:
            self._users(self._traffic.users)
        else:
            for batch in open_loop(self._traffic, self._draws, self._share):
                self._arrivals(batch)
        self._arriving = False
        while not self.over and self.agenda.next_time() is not None:
            self.agenda.run_next()
        self._mark(self.ledger.length)

    # arrivals

    def _delay(self) -> float:
        """Return the seconds until a request that comes now is at the gateway's engine."""
        if self._host is None:
            return self._fleet.replica.overhead_s
        return self._host.draw(self.outstanding // max(self.present, 1))

    def _arrivals(self, batch: Batch) -> None:
        if self._host is not None:
            self._varied(batch)
            return
        agenda, delay = self.agenda, self._fleet.replica.overhead_s
        self._moved = True
        preferred: list[int] = []
        for index, arrived in enumerate(batch.times):
            now = arrived + delay
            while (following := agenda.next_time()) is not None and following < now:
                agenda.run_next()
            if self._moved:
                preferred = jumps(batch.affinity, self.present)
                self._moved = False
            self.arrive(batch, index, arrived, now, preferred[index])

    def _varied(self, batch: Batch) -> None:
        """Let each request take its own time to the engine, so that one may pass another."""
        agenda = self.agenda
        for index, arrived in enumerate(batch.times):
            while (following := agenda.next_time()) is not None and following < arrived:
                agenda.run_next()
            agenda.call(arrived + self._delay(), _Passing(self, batch, index, arrived))

    def arrive(
        self,
        batch: Batch,
        index: int,
        arrived: float,
        now: float,
        preferred: int,
        user: _User | None = None,
    ) -> bool:
        """Let a request of ``batch`` reach the gateway at ``now``; return whether it was taken. The
        ``user`` is told when it is over."""
        self.requests += 1
        request = Request(
            arrived, batch.prompts[index], batch.outputs[index],
            measured=arrived >= self.ledger.warmup, blocks=batch.blocks[index],
        )  # fmt: skip
        request.user, request.came = user, now
        self.ledger.came(request)
        gateway = self._fleet.gateway
        if gateway.gateways > 1 or gateway.keys > 1:
            place = batch.spread[index] * gateway.gateways
            request.gateway = int(place)
            request.key = int((place - request.gateway) * gateway.keys)
        gate = self._gates[request.gateway]
        room = self._fleet.replica.kv_tokens
        reason = ""
        if room is not None and request.prompt + request.output > room:
            reason = "too_long"
        reason = reason or gate.enter(request.key, now)
        if not reason:
            reason = self._send(request, batch.affinity, index, preferred, now)
            if reason:
                gate.leave(request.key, now, tokens=0)
        if reason:
            self.ledger.refused(request, reason)
        return not reason

    def _send(
        self,
        request: Request,
        affinity: npt.NDArray[np.uint64],
        index: int,
        preferred: int,
        now: float,
    ) -> str:
        """Give it to a replica; return why none takes it."""
        router, tried = self._routers[request.gateway], _NO_ONE
        replica = self._fleet.replica
        each = replica.slots + replica.max_queued
        while True:
            key = int(affinity[index])
            chosen = router.pick(preferred, key, self.present, now, tried)
            if chosen is None:
                return "queue_full" if tried else "no_replica"
            request.replica = chosen
            self.outstanding += 1
            router.lease(chosen)
            self._loads[chosen] += 1
            if self._engines[chosen].submit(request, now):
                return ""
            self.outstanding -= 1
            router.release(chosen)
            self._loads[chosen] -= 1
            router.refused(chosen, now)
            tried |= {chosen}
            if self.outstanding >= each * (self.present - len(self._down)):
                return "queue_full"  # the others would refuse it too

    def _users(self, users: int) -> None:
        feed = _Feed(self._draws, self._traffic.trace)
        for _ in range(users):
            self.agenda.call(0.0, _User(self, feed))
        while (following := self.agenda.next_time()) is not None and following < self.ledger.length:
            self.agenda.run_next()

    def ask(self, user: _User, feed: _Feed, now: float) -> None:
        """Let a user ask, or ask again after a pause where nobody takes it."""
        if now >= self.ledger.length:
            return
        batch, index = feed.next()
        passing = _Passing(self, batch, index, now, user)
        if self._host is None:
            passing.wake(now + self._fleet.replica.overhead_s)
        else:
            self.agenda.call(now + self._delay(), passing)

    def passed(
        self, batch: Batch, index: int, arrived: float, now: float, user: _User | None
    ) -> None:
        """Let a request that has passed the host come to the engine; its user asks again after a
        pause where nobody takes it."""
        preferred = jump(int(batch.affinity[index]), self.present)
        taken = self.arrive(batch, index, arrived, now, preferred, user=user)
        if user is not None and not taken:
            self.agenda.call(now + _PAUSE_S, user)

    # what engines tell

    def started(self, request: Request, now: float) -> None:
        self.waiting -= 1
        came = request.came
        if now > came:
            self.ledger.area("waiting", 1, came, now)
        self._routers[request.gateway].succeeded(request.replica)

    def ended(self, request: Request, now: float) -> None:
        self.ledger.ended(request, now)
        self._left(request, now, request.prompt + request.output)
        if request.user is not None:
            self.agenda.call(now, request.user)

    def spent(self, began: float, now: float, *, running: int, held: float, tokens: int) -> None:
        self.ledger.steps(began, now, running=running, held=held, tokens=tokens)

    def _left(self, request: Request, now: float, tokens: int) -> None:
        self.outstanding -= 1
        self._routers[request.gateway].release(request.replica)
        self._loads[request.replica] -= 1
        self._gates[request.gateway].leave(request.key, now, tokens=tokens)
        if self._leaving:
            for engine in [engine for engine in self._leaving if not engine.requests]:
                self._mark(now)
                self._leaving.discard(engine)

    # the number of replicas

    def _mark(self, now: float) -> None:
        """Count what there was since the last change."""
        paid = self.present + self.starting + len(self._leaving)
        self.ledger.area("paid", paid, self._marked, now)
        self.ledger.area("ready", self.present - len(self._down), self._marked, now)
        self._marked = now

    def begin_start(self, now: float) -> None:
        self._mark(now)
        self.starting += 1

    def cancel_start(self, now: float) -> None:
        self._mark(now)
        self.starting -= 1

    def end_start(self, now: float) -> None:
        self._mark(now)
        self.starting -= 1
        number = self.present
        if self._engines[number] in self._leaving:  # the one before it still runs something
            self._engines[number] = self._engine(number)
        for router in self._routers:
            router.open(number)
        self.present += 1
        self._moved = True

    def retire(self, now: float) -> None:
        self._mark(now)
        self.present -= 1
        self._down.discard(self.present)
        for router in self._routers:
            router.close(self.present)
        if self._engines[self.present].requests:
            self._leaving.add(self._engines[self.present])
        self._moved = True

    def lose(self, replica: int, now: float) -> None:
        if replica in self._down:
            return
        self._mark(now)
        self._down.add(replica)
        for router in self._routers:
            router.close(replica)
        for request in self._engines[replica].lose(now):
            self.ledger.lost(request)
            self._left(request, now, 0)
            if request.user is not None:
                self.agenda.call(now + _PAUSE_S, request.user)

    def recover(self, replica: int, now: float) -> None:
        if replica not in self._down:
            return
        self._mark(now)
        self._down.discard(replica)
        for router in self._routers:
            router.open(replica)


class _Feed:
    """Requests of a closed loop, one after another."""

    def __init__(self, draws: Draws, lines: Sequence[dict[str, Any]]) -> None:
        self._draws = draws
        self._lines = cycle(lines)
        self._drawn = not lines
        self._batch = self._more()
        self._index = -1

    def _more(self) -> Batch:
        times = [math.nan] * BATCH
        if self._drawn:
            return self._draws.batch(times)
        return self._draws.traced(times, list(islice(self._lines, BATCH)))

    def next(self) -> tuple[Batch, int]:
        """Return the next one: its batch, and its place there."""
        self._index += 1
        if self._index == BATCH:
            self._batch, self._index = self._more(), 0
        return self._batch, self._index


class _Passing:
    """A request on its way through the host."""

    def __init__(
        self,
        simulation: Simulation,
        batch: Batch,
        index: int,
        arrived: float,
        user: _User | None = None,
    ) -> None:
        self.turn = 0
        self._simulation = simulation
        self._request = batch, index, arrived
        self._user = user

    def wake(self, now: float) -> None:
        self._simulation.passed(*self._request, now, self._user)


class _User:
    """Asks again when it is answered."""

    turn = 0

    def __init__(self, simulation: Simulation, feed: _Feed) -> None:
        self._simulation = simulation
        self._feed = feed

    def wake(self, now: float) -> None:
        self._simulation.ask(self, self._feed, now)
