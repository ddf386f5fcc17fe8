"""A call of several requests is answered once, when nobody asks for its client any more."""

from __future__ import annotations

from itertools import permutations

import pytest
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.preparation.client import Result
from gemma4_runtime.server.gather import Gather

ERROR, CUT = RequestError(Code.CLIENT_CANCELLED, "a"), RequestError(Code.ENGINE_FAILED, "b")


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("bad", [None, 0, 1, 2])
def test_results_in_any_order(order: tuple[int, ...], bad: int | None) -> None:
    answers: list[list[Result]] = []
    gather = Gather(3, answers.append)
    for number in order:
        assert not answers
        gather.take(number, ERROR if number == bad else bytes([number]))
    assert answers == [[b"\0", b"\1", b"\2"] if bad is None else [ERROR]]


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("bad", [False, True])
def test_requests_that_could_not_be_asked_for(before: int, bad: bool) -> None:
    """``before``: how many of the two that were had come by then."""
    answers: list[list[Result]] = []
    gather = Gather(3, answers.append)
    for number in range(before):
        gather.take(number, ERROR if bad else b"x")
    gather.cut(2, CUT)
    for number in range(before, 2):
        assert not answers
        gather.take(number, ERROR if bad else b"x")
    assert answers == [[ERROR if bad else CUT]]


def test_the_first_could_not_be_asked_for() -> None:
    answers: list[list[Result]] = []
    Gather(3, answers.append).cut(0, CUT)
    assert answers == [[CUT]]
