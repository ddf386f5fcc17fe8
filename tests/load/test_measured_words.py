"""Users of locust that begin together measure a server's words once."""

from __future__ import annotations

import gevent
import pytest
from gemma4_load.errors import TargetError
from gemma4_load.locust_users.measured import MeasuredWords
from gemma4_load.targets.base import Seen
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words


class _Slow:
    """Answers after a while, in which other greenlets run."""

    def __init__(self, failures: int = 0) -> None:
        self.asked, self.failures = 0, failures

    def ask(self, ask: Ask, seen: Seen) -> Reply:
        gevent.sleep(0.01)
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise TargetError("UNAVAILABLE", "not yet")
        return Reply(prompt_tokens=len(ask.messages[0]["content"].split()) + 7)

    def close(self) -> None: ...


def _begin(words: MeasuredWords, target: _Slow, users: int) -> list[Words | None]:
    def begin() -> Words | None:
        try:
            return words.of("http://a", target)
        except TargetError:
            return None

    started = [gevent.spawn(begin) for _ in range(users)]
    gevent.joinall(started, timeout=20, raise_error=True)
    return [one.value for one in started]


def test_users_that_begin_together_measure_once() -> None:
    words, target = MeasuredWords(), _Slow()
    found = _begin(words, target, 16)
    assert target.asked == len(Words.probes())
    assert len({id(one) for one in found}) == 1
    assert found[0] is not None and found[0].overhead == 7


def test_each_server_is_measured() -> None:
    words, target = MeasuredWords(), _Slow()
    assert words.of("http://a", target) is not words.of("http://b", target)
    assert target.asked == 2 * len(Words.probes())


@pytest.mark.parametrize("failures", [1, 3])
def test_a_server_that_failed_is_asked_again(failures: int) -> None:
    words, target = MeasuredWords(), _Slow(failures)
    found = _begin(words, target, failures + 2)
    assert [one is None for one in found] == [True] * failures + [False] * 2
    assert target.asked == failures + len(Words.probes())
