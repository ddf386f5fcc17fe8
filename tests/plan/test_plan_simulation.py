"""The simulation of a fleet: closed forms, what must stay true of any load, and its sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gemma4_load.workloads.lengths import Length
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate import (
    Autoscaling,
    Failures,
    Fleet,
    Gateway,
    Outcome,
    Replica,
    Slos,
    StreamPace,
    Traffic,
    day_rates,
    simulate,
)
from hypothesis import given, settings
from hypothesis import strategies as st


class Steps:
    """Seconds of a step that grow with all that is in it."""

    def __init__(
        self, launch: float = 0.01, each: float = 2e-4, context: float = 1e-8, prompt: float = 2e-5
    ) -> None:
        self._by = launch, each, context, prompt

    def seconds(self, decode: int, context: float, prefill: int, seen: float) -> float:
        launch, each, of_context, prompt = self._by
        return launch + each * decode + of_context * (context + prefill * seen) + prompt * prefill


CONSTANT = Steps(0.01, 0.0, 0.0, 0.0)
SMALL = Replica(pace=Steps(), slots=8, max_queued=16)


def poisson(rate: float, count: int, outputs: Any, *, prompt: int = 1, seed: int = 1) -> list[Any]:
    """A trace of Poisson arrivals whose answers have ``outputs`` tokens."""
    times = np.cumsum(np.random.default_rng([seed, 7]).exponential(1 / rate, count)) * 1e3
    return [
        {"timestamp": float(time), "input_length": prompt, "output_length": int(tokens)}
        for time, tokens in zip(times, outputs, strict=True)
    ]


def run(traffic: Traffic, replica: Replica, replicas: int = 1, **more: Any) -> Outcome:
    return simulate(
        traffic, Fleet(replica=replica, replicas=replicas), most_requests=math.inf, **more
    )


# closed forms

COUNT = 60_000


@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("kind", ["steps", "streams"])
def test_one_slot_of_constant_service_is_m_d_1(kind: str, load: float) -> None:
    """The mean wait is load * service / (2 * (1 - load)) (Pollaczek and Khinchine)."""
    service = 1.0  # 100 tokens in steps of 10 ms, the first with the prompt
    pace = CONSTANT if kind == "steps" else StreamPace(interval_s=0.01)
    replica = Replica(pace=pace, slots=1, max_queued=10**6)
    waits = [
        run(
            Traffic(trace=poisson(load / service, COUNT // 4, [100] * (COUNT // 4), seed=seed)),
            replica,
        ).queue.mean
        for seed in range(4)
    ]
    expected = load * service / (2 * (1 - load))
    error = float(4 * np.std(waits, ddof=1) / math.sqrt(len(waits)) + 0.005)
    assert np.mean(waits) == pytest.approx(expected, abs=error)
    assert error < 0.35 * expected


def erlang_c(servers: int, offered: float) -> float:
    """The probability that a customer of M/M/c waits."""
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("slots", "load"), [(2, 0.7), (8, 0.8), (32, 0.9)])
@pytest.mark.parametrize("kind", ["steps", "streams"])
def test_slots_of_a_constant_step_are_the_servers_of_m_m_c(
    kind: str, slots: int, load: float
) -> None:
    """Answers of geometric length in steps of constant time: the mean wait is that of Erlang's C. A
    step is a five hundredth of a mean answer, by which a request waits for the next step, too."""
    step, mean = 0.01, 500
    service = step * mean
    pace = CONSTANT if kind == "steps" else StreamPace(interval_s=step)
    replica = Replica(pace=pace, slots=slots, max_queued=10**6)
    rate = load * slots / service
    waits = []
    for seed in range(4):
        outputs = np.random.default_rng([seed, 8]).geometric(1 / mean, COUNT // 4)
        waits.append(run(Traffic(trace=poisson(rate, COUNT // 4, outputs, seed=seed)), replica))
    means = [found.queue.mean for found in waits]
    expected = erlang_c(slots, load * slots) * service / (slots * (1 - load))
    if kind == "steps":
        expected += step / 2
    error = float(4 * np.std(means, ddof=1) / math.sqrt(len(means)) + 0.02 * expected)
    assert np.mean(means) == pytest.approx(expected, abs=error)
    assert error < 0.5 * expected


def test_a_closed_loop_keeps_its_users_busy() -> None:
    """Eight users of a constant step have eight tokens a step: Little's law holds to the step."""
    traffic = Traffic(
        users=8, seconds=200, warmup=50, prompt=Length("fixed", 1), output=Length("fixed", 100)
    )
    found = run(traffic, Replica(pace=CONSTANT, slots=8))
    assert found.output_throughput == pytest.approx(8 / 0.01, rel=0.01)
    assert found.itl.mean == pytest.approx(0.01, rel=1e-3)
    # Who is answered at the end of a step asks while the next one has begun.
    assert found.ttft.mean == pytest.approx(0.02, rel=1e-3)
    in_flight = found.request_throughput * found.e2e.mean
    assert in_flight == pytest.approx(8, rel=0.02)


def test_users_ask_the_requests_of_a_trace_in_their_order() -> None:
    lines = [
        {"timestamp": 0, "input_length": 10, "output_length": tokens} for tokens in (50, 100, 150)
    ]
    found = run(Traffic(users=1, trace=lines, seconds=30), Replica(pace=CONSTANT, slots=1))
    assert found.completed == 30  # a second each, on average
    assert found.output_tokens == 10 * (50 + 100 + 150)


def test_jumps_over_steps_are_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken one at a time, steps whose seconds grow with the context give the same times."""
    from gemma4_plan.simulate import step_engine

    traffic = Traffic(
        rates=((0, 4.0), (120, 4.0)), prompt=Length("lognormal", 300, 0.8),
        output=Length("lognormal", 60, 0.7),
    )  # fmt: skip
    replica = Replica(pace=Steps(context=2e-6), slots=16, kv_tokens=8_000, step_tokens=256)
    jumped = run(traffic, replica)
    monkeypatch.setattr(step_engine, "_MOST_AT_ONCE", 1)
    stepped = run(traffic, replica)
    assert stepped.events > 1.5 * jumped.events
    for name in ("ttft", "itl", "e2e", "queue"):
        one, other = getattr(jumped, name), getattr(stepped, name)
        assert one.count == other.count
        assert one.mean == pytest.approx(other.mean, rel=1e-6)
        assert one.p95 == pytest.approx(other.p95, rel=0.005)
    assert jumped.generated_tokens == stepped.generated_tokens
    assert jumped.suspended == stepped.suspended > 0


# what must stay true

lengths = st.one_of(
    st.integers(1, 400).map(lambda n: Length("fixed", n)),
    st.tuples(st.integers(1, 300), st.floats(0.1, 1.0)).map(lambda x: Length("lognormal", *x)),
)
paces = st.one_of(
    st.builds(
        Steps, st.floats(1e-3, 0.03), st.floats(0, 1e-3), st.floats(0, 1e-6), st.floats(0, 1e-4)
    ),
    st.builds(StreamPace, interval_s=st.floats(1e-3, 0.03), prefill_s=st.floats(0, 1e-4)),
)


@given(
    rate=st.floats(0.1, 30), prompt=lengths, output=lengths, pace=paces, slots=st.integers(1, 16),
    queue=st.integers(0, 8), replicas=st.integers(1, 5), kv=st.sampled_from([None, 3000, 20_000]),
    kept=st.sampled_from([0, 1000]), groups=st.integers(0, 3), gateways=st.integers(1, 3),
    running=st.sampled_from([3, 1024]), per_minute=st.sampled_from([0, 60]),
    lost=st.booleans(), scaled=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_requests_and_tokens_are_conserved(
    rate: float, prompt: Length, output: Length, pace: Any, slots: int, queue: int, replicas: int,
    kv: int | None, kept: int, groups: int, gateways: int, running: int, per_minute: int,
    lost: bool, scaled: bool, seed: int,
) -> None:  # fmt: skip
    traffic = Traffic(
        rates=((0, rate), (20, 2 * rate), (40, 0)), prompt=prompt, output=output,
        shared_prefixes=groups, prefix_tokens=50 if groups else 0,
    )  # fmt: skip
    replica = Replica(
        pace=pace, slots=slots, max_queued=queue, kv_tokens=kv, prefix_tokens=kept, step_tokens=64
    )
    gateway = Gateway(
        gateways=gateways, max_running=running, requests_per_minute=per_minute, keys=2,
        tokens_per_minute=100 * per_minute,
    )  # fmt: skip
    fleet = Fleet(
        replica=replica, replicas=replicas, gateway=gateway,
        failures=Failures(every_s=20, back_s=5) if lost else None,
        autoscaling=Autoscaling(least=1, most=8, start_s=5, poll_s=2, down_after_s=4)
        if scaled else None,
    )  # fmt: skip
    try:
        found = simulate(traffic, fleet, seed)
    except BadQuestionError as error:
        assert kv is not None
        assert "KV cache of a replica holds" in str(error)
        return
    refused = sum(found.refused.values())
    assert found.arrived == found.completed + refused + found.failed
    assert (found.failed == 0) or lost
    assert found.arrived == sum(part.arrived for part in found.timeline)
    assert found.completed == found.e2e.count == sum(part.ended for part in found.timeline)
    assert found.cached_tokens <= found.prompt_tokens
    if not lost:
        assert found.generated_tokens == found.output_tokens
    assert found.generated_tokens >= found.output_tokens
    assert found.output_tokens >= found.completed
    for part in found.timeline:
        assert part.slots <= 1 + 1e-9 or lost or scaled
        assert part.ready <= part.replicas + 1e-9
    most = 8 if scaled else replicas
    assert 0 < found.replica_hours <= (most + 8) * 40 / 3600 + 1e-9


@given(
    rate=st.floats(1, 12), more=st.floats(1.05, 3), pace=paces, slots=st.integers(1, 16),
    replicas=st.integers(1, 4), output=lengths, seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_more_load_never_lowers_latency(
    rate: float, more: float, pace: Any, slots: int, replicas: int, output: Length, seed: int
) -> None:
    """With the same requests in the same order, closer together. What the step's phase at an
    arrival adds or takes is below a step."""
    replica = Replica(pace=pace, slots=slots, max_queued=10**6)
    small = Length("lognormal", min(output.a, 60), 0.3)

    def at(times: float) -> Outcome:
        length = 400 / (rate * times)
        rates = ((0.0, rate * times), (length, rate * times))
        return run(
            Traffic(rates=rates, output=small, prompt=Length("fixed", 64)),
            replica,
            replicas,
            seed=seed,
        )

    less, greater = at(1), at(more)
    assert less.arrived == greater.arrived
    phase = 1e-9 if isinstance(pace, StreamPace) else pace.seconds(slots, 0, 64, 32)
    assert greater.queue.mean >= less.queue.mean - phase
    assert greater.e2e.mean >= less.e2e.mean - 2 * phase


@given(
    rate=st.floats(1, 30), pace=paces, slots=st.integers(1, 8), replicas=st.integers(1, 4),
    more=st.integers(1, 8), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_more_gpus_never_raise_latency(
    rate: float, pace: Any, slots: int, replicas: int, more: int, seed: int
) -> None:
    """A replica that is added takes a share of every other's requests (rendezvous hashing), and
    nobody else gets more."""
    replica = Replica(pace=pace, slots=slots, max_queued=10**6)
    traffic = Traffic(
        rates=((0, rate), (60, rate)),
        output=Length("lognormal", 60, 0.3),
        prompt=Length("fixed", 64),
    )
    few = run(traffic, replica, replicas, seed=seed)
    many = run(traffic, replica, replicas + more, seed=seed)
    assert few.arrived == many.arrived
    phase = 1e-9 if isinstance(pace, StreamPace) else pace.seconds(slots, 0, 64, 32)
    assert many.queue.mean <= few.queue.mean + phase
    assert many.e2e.mean <= few.e2e.mean + 2 * phase


# parts


def test_a_full_kv_cache_suspends_and_computes_nothing_twice() -> None:
    traffic = Traffic(
        rates=((0, 3.0), (60, 3.0)), prompt=Length("fixed", 100), output=Length("fixed", 100)
    )
    tight = run(traffic, replace(SMALL, kv_tokens=900, max_queued=10**6))
    free = run(traffic, replace(SMALL, max_queued=10**6))
    assert tight.suspended > 0
    assert free.suspended == 0
    assert tight.completed == free.completed
    assert tight.generated_tokens == tight.output_tokens
    assert tight.e2e.mean > free.e2e.mean
    assert max(part.kv for part in tight.timeline) <= 1.02


def test_a_shared_prefix_is_read_once_on_its_replica() -> None:
    traffic = Traffic(
        rates=((0, 2.0), (300, 2.0)), prompt=Length("fixed", 20), output=Length("fixed", 10),
        shared_prefixes=4, prefix_tokens=2000,
    )  # fmt: skip
    without = run(traffic, SMALL, 8)
    kept = run(traffic, replace(SMALL, prefix_tokens=100_000), 8)
    assert without.cached_tokens == 0
    assert kept.cached_tokens == pytest.approx(2000 * kept.completed, rel=0.03)
    assert kept.ttft.mean < without.ttft.mean / 2


def test_queues_gateways_and_keys_refuse() -> None:
    traffic = Traffic(
        rates=((0, 50.0), (60, 50.0)), prompt=Length("fixed", 10), output=Length("fixed", 200)
    )
    assert set(run(traffic, SMALL).refused) == {"queue_full"}

    def refused(**options: int) -> set[str]:
        fleet = Fleet(replica=replace(SMALL, max_queued=10**6), gateway=Gateway(**options))
        return set(simulate(traffic, fleet).refused)

    assert refused(max_running=20) == {"gateway_full"}
    assert refused(key_running=20) == {"max_running"}
    assert refused(requests_per_minute=600) == {"requests_per_minute"}
    assert refused(tokens_per_minute=10_000) == {"tokens_per_minute"}
    held = simulate(
        traffic,
        Fleet(replica=replace(SMALL, max_queued=10**6), gateway=Gateway(requests_per_minute=600)),
    )
    assert held.completed == pytest.approx(600 + 600, rel=0.02)  # a minute's worth, and its refill


def test_autoscaling_follows_a_peak_and_pays_for_starts() -> None:
    rates = ((0, 0.5), (3600, 0.5), (7200, 8.0), (10_800, 8.0), (14_400, 0.5), (28_800, 0.5))
    traffic = Traffic(rates=rates, prompt=Length("fixed", 100), output=Length("fixed", 100))
    scaling = Autoscaling(least=1, most=12, start_s=120, down_per_minute=2)
    found = simulate(traffic, Fleet(replica=SMALL, replicas=1, autoscaling=scaling))
    replicas = [part.replicas for part in found.timeline]
    top = max(replicas)
    assert replicas[0] == pytest.approx(1)
    assert 2 <= top <= 12
    assert replicas[-1] == pytest.approx(1)
    assert all(part.ready <= part.replicas + 1e-9 for part in found.timeline)
    assert found.replica_hours == pytest.approx(sum(replicas) * found.timeline[0].length_s / 3600)
    assert found.attainment > 0.9
    slow = simulate(traffic, Fleet(replica=SMALL, autoscaling=replace(scaling, start_s=1800)))
    assert slow.ttft.p99 > found.ttft.p99


def test_lost_replicas_fail_what_they_run_and_come_back() -> None:
    traffic = Traffic(
        rates=((0, 4.0), (3600, 4.0)), prompt=Length("fixed", 100), output=Length("fixed", 100)
    )
    fleet = Fleet(replica=SMALL, replicas=4, failures=Failures(every_s=600, back_s=60))
    found = simulate(traffic, fleet)
    assert found.failed > 0
    ready = np.mean([part.ready for part in found.timeline])
    assert ready == pytest.approx(4 * 600 / 660, abs=0.35)
    assert found.replica_hours == pytest.approx(4)


def test_a_day_has_its_mean_and_its_peak() -> None:
    for mean, peak in ((2.0, 1.0), (3.0, 5.0), (0.1, 20.0)):
        rates = day_rates(mean, peak=peak)
        assert rates[-1][0] == 86_400
        assert Traffic(rates=rates).mean_rate == pytest.approx(mean, rel=1e-3)
        assert max(rate for _, rate in rates) == pytest.approx(peak * mean, rel=1e-3)


def test_a_sample_of_a_fleet_stands_for_all_of_it() -> None:
    """64 replicas with a peak, where the gateway's balance acts, whole and as a quarter: at the
    busiest time nearly all slots are taken."""
    traffic = Traffic(
        rates=((0, 80.0), (100, 80.0), (200, 330.0), (300, 80.0)), prompt=Length("lognormal", 200, 0.6),
        output=Length("lognormal", 100, 0.5), slos=Slos(ttft_s=0.5, itl_s=0.03),
    )  # fmt: skip
    fleet = Fleet(replica=SMALL, replicas=64, gateway=Gateway(max_running=100_000, imbalance=8))
    whole = simulate(traffic, fleet, most_requests=math.inf)
    part = simulate(traffic, fleet, most_requests=1)
    assert (whole.simulated_replicas, part.simulated_replicas) == (64, 16)
    assert part.arrived == pytest.approx(whole.arrived, rel=0.03)
    assert part.output_throughput == pytest.approx(whole.output_throughput, rel=0.03)
    assert part.replica_hours == pytest.approx(whole.replica_hours)
    for name in ("ttft", "itl", "e2e"):
        for share in ("mean", "p50", "p95"):
            one, other = getattr(getattr(part, name), share), getattr(getattr(whole, name), share)
            # A short peak with full slots: what the chance of one minute does to the waits.
            bound = 0.25 if name == "ttft" and share != "p50" else 0.05
            assert one == pytest.approx(other, rel=bound), (name, share)
    assert part.attainment == pytest.approx(whole.attainment, abs=0.02)
