"""Requests that wait: first in, first out for each tenant; tenants and classes by tokens. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from gemma4_gateway.fair.shares import Account, Shares
from gemma4_gateway.fair.tenant import CLASS_WEIGHTS, Tenant

__all__ = ["Charge", "Entry", "FairQueue", "Lane"]

T = TypeVar("T")

_FIRST_ANSWER = 256.0
"""Tokens that an answer is expected to have while a tenant has had none."""
_NEWEST = 0.1
"""Part that the newest answer has in what the next one is expected to have."""
_MANY_LANES = 1024
"""Tenants that are remembered before idle ones are forgotten."""


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """A request that waits; ``tokens`` is what it is expected to cost."""

    lane: Lane[T]
    tokens: int
    item: T
    order: int


@dataclass(slots=True, eq=False)
class Charge(Generic[T]):
    """What a request that started was charged: ``tokens``, in two visits."""

    lane: Lane[T]
    tokens: float
    visit: int
    class_visit: int


@dataclass(slots=True, eq=False)
class Lane(Account, Generic[T]):
    """One tenant. ``answer``: tokens that its next answer is expected to have. ``tokens``: those
    of its entries. ``running``: requests that have started and are not settled."""

    tenant: Tenant = field(kw_only=True)
    group: _Group[T] = field(kw_only=True)
    entries: OrderedDict[int, Entry[T]] = field(default_factory=OrderedDict)
    tokens: int = 0
    running: int = 0
    answer: float = _FIRST_ANSWER


class _Group(Account, Generic[T]):
    """A priority class: an account among the classes, and the shares of its tenants."""

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self.shares = Shares()
        self.waiting: dict[str, Lane[T]] = {}

    @property
    def tokens(self) -> int:
        return sum(lane.tokens for lane in self.waiting.values())


class FairQueue(Generic[T]):
    """``len`` is how many wait."""

    def __init__(self) -> None:
        self._classes = Shares()
        self._groups = {name: _Group[T](weight) for name, weight in CLASS_WEIGHTS.items()}
        self._lanes: dict[str, Lane[T]] = {}
        self._orders = count(1)
        self._fronts = count(-1, -1)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def lane(self, tenant: Tenant) -> Lane[T]:
        """Return the lane of a tenant, whose weight and class may have changed."""
        lane = self._lanes.get(tenant.name)
        if lane is None or (lane.tenant.priority != tenant.priority and not lane.entries):
            if len(self._lanes) >= _MANY_LANES:
                self._forget_idle()
            group = self._groups[tenant.priority]
            lane = Lane(tenant.weight, tenant=tenant, group=group)
            self._lanes[tenant.name] = lane
        lane.tenant, lane.weight = tenant, tenant.weight
        return lane

    def lanes(self) -> Iterable[Lane[T]]:
        """Return the lanes of those who wait."""
        return (lane for group in self._groups.values() for lane in group.waiting.values())

    def push(self, lane: Lane[T], item: T, tokens: int, *, front: bool = False) -> Entry[T]:
        """Let ``item`` wait; before all others of its tenant with ``front``."""
        order = next(self._fronts if front else self._orders)
        entry = Entry(lane, tokens, item, order)
        if not lane.entries:
            self._arrive(lane)
            lane.group.waiting[lane.tenant.name] = lane
        lane.entries[order] = entry
        lane.entries.move_to_end(order, last=not front)
        lane.tokens += tokens
        self._size += 1
        return entry

    def remove(self, entry: Entry[T]) -> bool:
        """Take an entry out; False when it is not there any more."""
        lane = entry.lane
        if lane.entries.pop(entry.order, None) is None:
            return False
        lane.tokens -= entry.tokens
        self._size -= 1
        if not lane.entries:
            del lane.group.waiting[lane.tenant.name]
        return True

    def head(self) -> Entry[T] | None:
        """Return who is next; None when nobody waits."""
        groups = [group for group in self._groups.values() if group.waiting]
        if not groups:
            return None
        group = min(groups, key=lambda g: g.counter)
        lane = min(group.waiting.values(), key=lambda one: one.counter)
        return next(iter(lane.entries.values()))

    def take(self, entry: Entry[T]) -> Charge[T]:
        """Start an entry, which must be the head."""
        self.remove(entry)
        return self._start(entry.lane, entry.tokens)

    def start(self, lane: Lane[T], tokens: int) -> Charge[T]:
        """Start a request that did not wait."""
        if not lane.entries:
            self._arrive(lane)
        return self._start(lane, tokens)

    def settle(self, charge: Charge[T], tokens: int, *, answer: int = 0) -> None:
        """Charge what a request did cost, of which ``answer`` were generated; once."""
        lane, change = charge.lane, tokens - charge.tokens
        lane.running -= 1
        lane.group.shares.correct(lane, change, charge.visit)
        self._classes.correct(lane.group, change, charge.class_visit)
        if answer:
            lane.answer += _NEWEST * (answer - lane.answer)

    def tokens_ahead(self, lane: Lane[T]) -> float:
        """Estimate the tokens of those who start before one more of this lane would."""
        group = lane.group
        counter = max(lane.counter, 0.0 if lane.entries else group.shares.now)
        start = counter + lane.tokens / lane.weight
        ahead = float(lane.tokens)
        for other in group.waiting.values():
            if other is not lane:
                ahead += _before(start, other, other.tokens)
        counter = max(group.counter, 0.0 if group.waiting else self._classes.now)
        start = counter + ahead / group.weight
        for rival in self._groups.values():
            if rival is not group and rival.waiting:
                ahead += _before(start, rival, rival.tokens)
        return ahead

    def longest(self, than: Lane[T]) -> Entry[T] | None:
        """Return the newest entry of the lane that waits most for its weight; None when that is
        ``than``, or would be with one more."""
        lane = max(self.lanes(), key=_crowding, default=None)
        if lane is None or lane is than:
            return None
        if len(lane.entries) - 1 < (len(than.entries) + 1) * _strength(lane) / _strength(than):
            return None
        return next(reversed(lane.entries.values()))

    def _arrive(self, lane: Lane[T]) -> None:
        if not lane.group.waiting:
            self._classes.arrive(lane.group)
        lane.group.shares.arrive(lane)

    def _start(self, lane: Lane[T], tokens: float) -> Charge[T]:
        lane.running += 1
        visit = lane.group.shares.start(lane, tokens)
        return Charge(lane, tokens, visit, self._classes.start(lane.group, tokens))

    def _forget_idle(self) -> None:
        """Forget those who neither wait nor run; each gains one request by it at most."""
        self._lanes = {
            name: lane for name, lane in self._lanes.items() if lane.entries or lane.running
        }


def _before(start: float, other: Account, tokens: int) -> float:
    return min(float(tokens), max(0.0, (start - other.counter) * other.weight))


def _strength(lane: Lane[T]) -> float:
    return lane.weight * lane.group.weight


def _crowding(lane: Lane[T]) -> float:
    return len(lane.entries) / _strength(lane)
