"""Step times from what a load test saw: they come out as they went in, whatever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gemma4_load.workloads.lengths import Length
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate import Fleet, Replica, Traffic, simulate
from gemma4_plan.simulate.host_times import HostTimes, times_by_load
from gemma4_plan.simulate.ledger import Ledger
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.observed import steps_from
from gemma4_plan.simulate.seen import Seen

SLOTS, HOST_S = 8, 0.009


def seen_of(traffic: Traffic, replica: Replica) -> list[Seen]:
    """Simulate; return the requests as a load test would see them."""
    found: list[Seen] = []
    original = Ledger.ended

    def ended(self: Ledger, request: Any, now: float) -> None:
        waited = request.started - request.arrived - replica.overhead_s
        # Below a step it waited for no slot: no server would call that its queue.
        queued = waited if waited > replica.pace.seconds(SLOTS, 0, 200, 0.0) else 0.0  # type: ignore[union-attr]
        found.append(
            Seen(request.arrived, request.first, now, request.prompt, request.output, queued)
        )
        original(self, request, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "ended", ended)
        simulate(traffic, Fleet(replica=replica))
    return found


def runs_of(steps: StepFile) -> list[list[Seen]]:
    replica = Replica(
        pace=MeasuredSteps(steps), slots=SLOTS, step_tokens=512, overhead_s=HOST_S,
        max_queued=10_000,
    )  # fmt: skip
    lengths = Length("uniform", 40, 160)
    pace = MeasuredSteps(steps)
    most = SLOTS / (100 * pace.seconds(SLOTS, 0, 0, 0.0) + SLOTS * pace.seconds(0, 0, 100, 0.0))
    seconds = 150 / most
    runs = [
        Traffic(users=users, seconds=seconds, prompt=lengths, output=lengths)
        for users in (1, 2, 5, 8)
    ]
    runs += [
        Traffic(rates=((0, share * most), (seconds, share * most)), prompt=lengths, output=lengths)
        for share in (0.4, 0.8)
    ]
    return [seen_of(traffic, replica) for traffic in runs]


KINDS = {  # seconds of 1, 2, 4 and 8 answers; of a prompt and each of its tokens
    "flat": ((0.01, 0.01, 0.01, 0.01), 1e-3, 1e-4),
    "in proportion": ((0.002, 0.004, 0.008, 0.016), 1e-3, 1e-4),
    "concave": ((0.0012, 0.0025, 0.0037, 0.0063), 0.003, 0.00023),
    "a launch": ((0.018, 0.02, 0.023, 0.03), 0.005, 2e-5),
    "long prompts": ((0.004, 0.005, 0.006, 0.007), 1e-4, 9e-4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_step_times_come_out_as_they_went_in(kind: str) -> None:
    times, each, token = KINDS[kind]
    true = StepFile(
        measured="by hand", decode=tuple(zip((1, 2, 4, 8), times, strict=True)), slots=SLOTS,
        prefill=((1, each + token), (512, each + 512 * token)), step_tokens=512,
    )  # fmt: skip
    found = steps_from(runs_of(true), slots=SLOTS, step_tokens=512, measured="")
    expected, fitted = MeasuredSteps(true), MeasuredSteps(found)
    for answers in (1, 2, 4, 8):
        step = expected.seconds(answers, 0, 0, 0.0)
        assert fitted.seconds(answers, 0, 0, 0.0) == pytest.approx(step, rel=0.03)
        both = expected.seconds(answers, 0, 100, 0.0)
        assert fitted.seconds(answers, 0, 100, 0.0) == pytest.approx(both, rel=0.03)
    step = expected.seconds(SLOTS, 0, 0, 0.0)
    assert found.overhead_s == pytest.approx(HOST_S, abs=0.5 * step)


def test_a_noisy_client_moves_them_little() -> None:
    true = StepFile(
        measured="", decode=((1, 0.0012), (2, 0.0025), (4, 0.0037), (8, 0.0063)), slots=SLOTS,
        prefill=((1, 0.003), (512, 0.12)), step_tokens=512,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    noisy = [
        [
            Seen(
                one.due, one.first + rng.exponential(0.002),
                one.end + 0.002 + rng.exponential(0.002), one.prompt, one.output, one.queued,
            )
            for one in run
        ]
        for run in runs_of(true)
    ]  # fmt: skip
    found = steps_from(noisy, slots=SLOTS, step_tokens=512, measured="")
    for (at, time), (_, expected) in zip(found.decode, true.decode, strict=True):
        assert time == pytest.approx(expected, rel=0.05), at


def test_too_little_is_refused() -> None:
    one = Seen(due=0.0, first=0.1, end=0.2, prompt=5, output=3)
    with pytest.raises(BadQuestionError, match="3 answers of several tokens: give runs with"):
        steps_from([[one] * 3, [Seen(0, 1, 1, 5, 1)] * 20], slots=4, step_tokens=512, measured="")


def test_a_host_that_takes_longer_under_load_is_drawn_as_it_was_measured() -> None:
    rng = np.random.default_rng(1)
    pairs = [
        (load, float(rng.exponential(0.005 * (1 + load)))) for load in range(9) for _ in range(2000)
    ]
    measured = times_by_load(pairs)
    assert [at for at, _ in measured] == list(range(9))
    host = HostTimes(measured, seed=0)
    for load in (0, 4, 8):
        drawn = [host.draw(load) for _ in range(4000)]
        of_load = [seconds for at, seconds in pairs if at == load]
        for share in (0.5, 0.95):
            expected = float(np.quantile(of_load, share))
            assert np.quantile(drawn, share) == pytest.approx(expected, rel=0.15)
    assert host.draw(100) <= measured[-1][1][-1]


def test_loads_that_were_seen_too_seldom_are_put_together() -> None:
    measured = times_by_load([(0, 0.01)] * 30 + [(1, 0.02)] * 5 + [(2, 0.03)] * 16 + [(3, 0.005)])
    assert [at for at, _ in measured] == [0, 2]
    assert all(a <= b for a, b in zip(measured[0][1], measured[1][1], strict=True))
    assert times_by_load([]) == ()


def test_what_the_server_tells_is_the_engines_and_the_rest_the_hosts() -> None:
    """Every request with its own 10 ms before the engine, 3 ms of it after the first token."""
    true = StepFile(
        measured="", decode=((1, 0.0012), (2, 0.0025), (4, 0.0037), (8, 0.0063)), slots=SLOTS,
        prefill=((1, 0.003), (512, 0.12)), step_tokens=512,
    )  # fmt: skip
    told = [
        [
            Seen(
                one.due, one.first + 0.003, one.end + 0.02, one.prompt, one.output, one.queued,
                reading=one.first - one.due - HOST_S - one.queued, decoding=one.end - one.first,
            )
            for one in run
        ]
        for run in runs_of(true)
    ]  # fmt: skip
    found = steps_from(told, slots=SLOTS, step_tokens=512, measured="")
    for (at, time), (_, expected) in zip(found.decode, true.decode, strict=True):
        assert time == pytest.approx(expected, rel=0.08), at
    assert found.overhead_s == pytest.approx(HOST_S + 0.003)
    assert all(times == pytest.approx((HOST_S + 0.003,) * 20) for _, times in found.host)
