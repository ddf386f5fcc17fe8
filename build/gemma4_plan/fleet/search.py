"""The cheapest fleet over all options of a catalog."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gemma4_plan.catalog import Catalog
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.question import CapacityQuestion
from gemma4_plan.fleet.sizing import Sizing
from gemma4_plan.fleet.steps import End
from gemma4_plan.options import LeftOut, Option, rank
from gemma4_plan.simulate import Outcome
from gemma4_plan.speed.fitted import Fitted

__all__ = ["Candidate", "Found", "search"]

Tick = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """``needed`` copies of ``option`` hold the SLOs, ``spare`` more are there. ``outcome`` is the
    busiest time on the needed ones."""

    option: Option
    needed: int
    spare: int
    outcome: Outcome

    @property
    def copies(self) -> int:
        return self.needed + self.spare

    @property
    def gpus(self) -> int:
        return self.copies * self.option.split.tp

    @property
    def usd_per_hour(self) -> tuple[float, float] | None:
        """Lowest and highest rent of all of them."""
        price = self.option.card.usd_per_hour
        return None if price is None else (price.low * self.gpus, price.high * self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``best`` and what else was sized, the cheapest first; ``dearer`` options cost more even with
    the least that their tokens take. ``fast`` and ``slow`` are the copies of the best that the ends
    of the estimate need; None where none are enough. ``end`` is the one that was searched at."""

    best: Candidate
    others: tuple[Candidate, ...]
    dearer: int
    left_out: tuple[LeftOut, ...]
    end: End
    fast: int | None
    middle: int | None
    slow: int | None


def search(
    question: CapacityQuestion, catalog: Catalog, fitted: Fitted, tick: Tick = lambda _: None
) -> Found:
    """Return the cheapest fleet. Options are sized in the order of the least that they can cost, up
    to the first that cannot be cheaper any more. Raises :class:`BadQuestionError` where none holds,
    with what would."""
    ranking = rank(question.fit(), catalog, fitted)
    options, left_out = _choosable(question, ranking.options, ranking.left_out)
    end: End = "slow" if question.cautious else "middle"
    sizings = [Sizing(question, option, fitted, end, tick) for option in options]
    sizings.sort(key=lambda sizing: _cost(sizing.option, sizing.least() + question.spare))
    sized: list[Candidate] = []
    failed: list[Sizing] = []
    dearer = 0
    for sizing in sizings:
        best = min((_cost(c.option, c.copies) for c in sized), default=math.inf)
        least = _cost(sizing.option, sizing.least() + question.spare)
        if least > best and len(sized) >= _SHOWN:
            dearer += 1
            continue
        most = _most(question, sizing.option)
        needed = sizing.smallest(most) if most >= 1 else None
        if needed is None:
            failed.append(sizing)
            continue
        sized.append(
            Candidate(
                option=sizing.option, needed=needed, spare=question.spare,
                outcome=sizing.run(needed),
            )
        )  # fmt: skip
    if not sized:
        from gemma4_plan.fleet.nearest import nearest

        raise BadQuestionError(nearest(question, failed))
    sized.sort(key=lambda candidate: _cost(candidate.option, candidate.copies))
    best_one = sized[0]
    counts = {other: _needed(question, best_one.option, fitted, other, tick)
              for other in ("fast", "middle", "slow") if other != end}  # fmt: skip
    counts[end] = best_one.needed
    return Found(
        best=best_one, others=tuple(sized[1:]), dearer=dearer, left_out=left_out, end=end,
        fast=counts["fast"], middle=counts["middle"], slow=counts["slow"],
    )  # fmt: skip


_SHOWN = 3
"""Options that are sized even where they cannot be the cheapest, to be compared."""


def _needed(
    question: CapacityQuestion, option: Option, fitted: Fitted, end: End, tick: Tick
) -> int | None:
    return Sizing(question, option, fitted, end, tick).smallest()


def _choosable(
    question: CapacityQuestion, options: tuple[Option, ...], left_out: tuple[LeftOut, ...]
) -> tuple[list[Option], tuple[LeftOut, ...]]:
    """Leave out what is experimental, and, where some have a price, what has none."""
    more = list(left_out)
    found = list(options)
    if not question.experimental and question.precision is None:
        proven = [option for option in found if option.status == "yes"]
        if not proven:
            raise BadQuestionError(
                f"--gpu {question.gpu or 'any'}: only experimental options hold these SLOs with "
                f"one request, such as {_name(found[0])}; add --experimental"
            )
        more += _names(found, proven, "experimental; --experimental takes it in")
        found = proven
    priced = [option for option in found if option.card.usd_per_hour is not None]
    if priced:
        more += _names(found, priced, "the catalog has no price")
        found = priced
    return found, tuple(more)


def _names(all_of: list[Option], kept: list[Option], reason: str) -> list[LeftOut]:
    gone = [option for option in all_of if option not in kept and option.split.tp == 1]
    return [LeftOut(f"{option.gpu} {option.split.precision}", reason) for option in gone]


def _name(option: Option) -> str:
    return f"{option.gpu} {option.split.precision}"


def _cost(option: Option, copies: int) -> float:
    """Return dollars an hour, the middle of the rents; GPUs where there is no price."""
    gpus, price = copies * option.split.tp, option.card.usd_per_hour
    return gpus * (1.0 if price is None else math.sqrt(price.low * price.high))


def _most(question: CapacityQuestion, option: Option) -> float:
    """Return the needed copies for which ``--max-gpus`` leaves room."""
    if question.max_gpus is None:
        return math.inf
    return question.max_gpus // option.split.tp - question.spare
