"""What each alert is tested with, and when it must and must not fire."""

from __future__ import annotations

from collections.abc import Iterable

from gemma4_testing.cases.alert_series import (
    DAY,
    GATEWAY,
    GATEWAY_POD,
    OTHER,
    POD,
    SIDECAR,
    TRITON,
    Case,
    counter,
    failures,
    gauge,
    requests,
    success,
    ttft,
)

__all__ = ["CASES"]


def _slo() -> Iterable[Case]:
    name = "Gemma4AvailabilityBurn"
    outage = counter((30, 0), (20, 20), (110, 0))
    for labels in (GATEWAY, GATEWAY_POD):
        series = requests(labels, counter((160, 60)), outage)
        yield Case(name, "page", "a quarter of the requests fails", series, (45,), (20, 90, 150))
        yield Case(name, "ticket", "and the ticket", series, (45,), (20,))
    slow_burn = requests(GATEWAY, counter((500, 60)), counter((60, 1.2), (440, 0)))
    yield Case(name, "ticket", "2 % fail, for an hour", slow_burn, (60,), (2, 430))
    yield Case(name, "page", "2 % wake nobody", slow_burn, (), (60,))
    few = requests(GATEWAY, counter((60, 0.1)), counter((30, 0), (1, 1), (29, 0)))
    no_one = requests(GATEWAY, counter((60, 0)), counter((60, 0)))
    again = requests(GATEWAY, counter((30, 60), (-30, 60)), counter((30, 0.06), (-30, 0.06)))
    for severity in ("page", "ticket"):
        yield Case(name, severity, "one failure of a few at night", few, (), (32, 40))
        yield Case(name, severity, "no traffic", no_one, (), (50,))
        yield Case(name, severity, "the gateway restarts", again, (), (31, 35, 50))
    alone = success(TRITON, counter((160, 60))) | failures(
        TRITON, "INTERNAL", "engine_failed", outage
    )
    yield Case(name, "page", "a server without a gateway", alone, (45,), (20, 90))
    faulty = success(TRITON, counter((60, 60)))
    faulty |= failures(TRITON, "INVALID_ARGUMENT", "out_of_range", counter((60, 60)))
    faulty |= failures(TRITON, "UNAVAILABLE", "queue_full", counter((60, 60)))
    yield Case(name, "page", "bad requests, and a full queue", faulty, (), (50,))

    name = "Gemma4TtftBurn"
    late = ttft(GATEWAY, counter((160, 60)), counter((30, 60), (20, 6), (110, 60)))
    yield Case(name, "page", "nine of ten are late", late, (48,), (20, 90))
    yield Case(name, "ticket", "and the ticket", late, (48,), (20,))
    some = ttft(GATEWAY, counter((500, 60)), counter((60, 48), (440, 60)))
    yield Case(name, "ticket", "a fifth is late", some, (60,), (0, 430))
    yield Case(name, "page", "a fifth wakes nobody", some, (), (60,))
    idle = ttft(GATEWAY, counter((60, 0)), counter((60, 0)))
    restarted = ttft(GATEWAY, counter((30, 60), (-30, 60)), counter((30, 59), (-30, 59)))
    for severity in ("page", "ticket"):
        yield Case(name, severity, "no traffic", idle, (), (50,))
        yield Case(name, severity, "the gateway restarts", restarted, (), (31, 50))
    server = {
        f"gemma4_time_to_first_token_seconds_count{{{TRITON}}}": counter((160, 60)),
        f'gemma4_time_to_first_token_seconds_bucket{{{TRITON},le="2.5"}}':
            counter((30, 60), (20, 6), (110, 60)),
    }  # fmt: skip
    yield Case(name, "page", "a server without a gateway", server, (48,), (20, 90))


def _down() -> Iterable[Case]:
    down = gauge((10, 1), (20, 0), (10, 1))
    up = gauge((40, 1))
    for name, labels, twin, page, ticket in (
        ("Gemma4ServerDown", TRITON, OTHER, 13, 21),
        ("Gemma4ServerDown", POD, POD.replace("-0", "-1").replace("0.1", "0.9"), 13, 21),
        ("Gemma4GatewayDown", GATEWAY, GATEWAY.replace("gateway:", "gateway2:"), 12, 16),
        ("Gemma4GatewayDown", GATEWAY_POD, GATEWAY_POD.replace("0.2", "0.8"), 12, 16),
        ("Gemma4GatewayDown", SIDECAR, SIDECAR.replace("0.1", "0.9"), 12, 16),
    ):
        one = {f"up{{{labels}}}": down}
        yield Case(name, "page", "the only one is down", one, (page,), (9, 10, 35))
        two = one | {f"up{{{twin}}}": up}
        yield Case(name, "page", "another one is up", two, (), (25,))
        yield Case(name, "ticket", "one of two is down", two, (ticket,), (9, 12, 35))
    yield Case("Gemma4ServerDown", "page", "a sidecar is no server",
               {f"up{{{SIDECAR}}}": down, f"up{{{POD}}}": up}, (), (25,))  # fmt: skip

    name = "Gemma4NoReadyBackend"
    ready = "gemma4_gateway_backend_ready"
    draining = {f"gemma4_gateway_draining{{{GATEWAY}}}": gauge((40, 0))}
    lost = {f'{ready}{{{GATEWAY},backend="a:8001"}}': down}
    yield Case(name, "page", "the only back end is lost", draining | lost, (12,), (9, 35))
    kept = {f'{ready}{{{GATEWAY},backend="b:8001"}}': up}
    yield Case(name, "page", "one of two is ready", draining | lost | kept, (), (25,))
    gone = {f'{ready}{{{GATEWAY},backend="a:8001"}}': gauge((10, 1), (20, "stale"), (10, 1))}
    yield Case(name, "page", "the name has no address", draining | gone, (12,), (9, 35))
    stopping = {f"gemma4_gateway_draining{{{GATEWAY}}}": gauge((10, 0), (30, 1))}
    yield Case(name, "page", "the gateway stops", stopping | lost, (), (25,))

    name = "Gemma4BackendNotReady"
    yield Case(name, "ticket", "one of two is not ready", draining | lost | kept, (21,), (15, 35))
    view = {f'{ready}{{job="gateway",instance="g2",backend="a:8001"}}': up}
    yield Case(name, "ticket", "another gateway finds it ready", draining | lost | view, (), (25,))

    name = "Gemma4BackendFlapping"
    out = f'gemma4_gateway_backend_ejections{{{GATEWAY},backend="a:8001"}}'
    flaps = {out: counter((10, 0), (4, 1), (60, 0))}
    yield Case(name, "ticket", "four times in four minutes", flaps, (15,), (9, 50))
    twice = {out: counter((10, 0), (2, 1), (60, 0))}
    yield Case(name, "ticket", "twice: a restart", twice, (), (15,))
    new = {out: counter((10, 1), (-30, 0))}
    yield Case(name, "ticket", "the gateway restarts long after", new, (), (41,))


def _engine() -> Iterable[Case]:
    name = "Gemma4EngineFrozen"
    fresh = [str(60 * i) for i in range(41)]
    frozen = [*fresh[:10], *["540"] * 20, *fresh[30:]]
    for labels in (TRITON, POD):
        series = {f"gemma4_last_update_timestamp_seconds{{{labels}}}": " ".join(frozen)}
        yield Case(name, "page", "no update for 20 minutes", series, (12, 25), (9, 32))
    alive = {f"gemma4_last_update_timestamp_seconds{{{TRITON}}}": " ".join(fresh)}
    yield Case(name, "page", "updates come", alive, (), (20,))
    gone = {f"gemma4_last_update_timestamp_seconds{{{TRITON}}}": " ".join([*fresh[:10], "stale"])}
    yield Case(name, "page", "the server is down", gone, (), (20,))

    name = "Gemma4EngineRestarts"
    count = f'gemma4_engine_restarts_total{{{TRITON},reason="crashed"}}'
    once = {count: counter((10, 0), (1, 1), (80, 0))}
    yield Case(name, "ticket", "one restart", once, (12,), (9, 75))
    yield Case(name, "page", "one restart wakes nobody", once, (), (12,))
    loop = {count: counter((10, 0), (4, 1), (80, 0))}
    yield Case(name, "page", "four in four minutes", loop, (15,), (9, 40))
    new = {count: counter((10, 1), (-60, 0))}
    yield Case(name, "ticket", "the container is new", new, (), (75,))
    yield Case(name, "page", "the container is new", new, (), (40,))

    name = "Gemma4DrainStuck"
    for metric in (f"gemma4_draining{{{TRITON}}}", f"gemma4_gateway_draining{{{GATEWAY_POD}}}"):
        stuck = {metric: gauge((10, 0), (15, 1), (10, "stale"))}
        yield Case(name, "ticket", "for a quarter of an hour", stuck, (21,), (9, 15, 30))
        usual = {metric: gauge((10, 0), (3, 1), (10, "stale"))}
        yield Case(name, "ticket", "an ordinary drain", usual, (), (12, 20))


def _missing() -> Iterable[Case]:
    name = "Gemma4ScrapeMissing"
    slots = {f"gemma4_slots{{{TRITON}}}": gauge((40, 8))}
    there = gauge((10, 1), (20, "stale"), (10, 1))
    yield Case(name, "page", "no server is a target", {f"up{{{TRITON}}}": there} | slots,
               (16,), (9, 12, 35))  # fmt: skip
    server = {f"up{{{TRITON}}}": gauge((40, 1))} | slots
    yield Case(name, "page", "there never was a gateway", server, (), (35,))
    yield Case(name, "page", "the gateway is gone", server | {f"up{{{GATEWAY}}}": there},
               (16,), (9, 12, 35))  # fmt: skip
    unloaded = {
        f"up{{{TRITON}}}": gauge((40, 1)),
        f"gemma4_slots{{{TRITON}}}": gauge((10, 8), (20, "stale"), (10, 8)),
    }
    yield Case(name, "page", "Triton without the engine", unloaded, (16,), (9, 12, 35))


def _capacity() -> Iterable[Case]:
    name = "Gemma4OverloadRefusals"
    for labels in (TRITON, POD):
        flood = success(labels, counter((80, 30)))
        flood |= failures(labels, "UNAVAILABLE", "queue_full", counter((10, 0), (30, 60), (40, 0)))
        yield Case(name, "page", "two of three are refused", flood, (20,), (9, 11, 60))
        yield Case(name, "ticket", "and the ticket", flood, (30,), (9, 60))
    some = success(TRITON, counter((80, 90)))
    some |= failures(TRITON, "UNAVAILABLE", "queue_full", counter((10, 0), (30, 10), (40, 0)))
    yield Case(name, "ticket", "a tenth is refused", some, (30,), (9, 60))
    yield Case(name, "page", "a tenth wakes nobody", some, (), (30,))
    all_ = failures(TRITON, "UNAVAILABLE", "queue_full", counter((10, 0), (30, 60), (40, 0)))
    yield Case(name, "page", "nothing is answered", all_, (20,), (60,))
    drained = success(TRITON, counter((80, 30)))
    drained |= failures(TRITON, "UNAVAILABLE", "draining", counter((80, 60)))
    for severity in ("page", "ticket"):
        yield Case(name, severity, "a drain is no overload", drained, (), (40,))
        yield Case(name, severity, "no traffic", success(TRITON, counter((80, 0))), (), (40,))

    name = "Gemma4QueueGrowing"
    waiting, most = f"gemma4_num_requests_waiting{{{POD}}}", f"gemma4_max_queued{{{POD}}}"
    limit = {most: gauge((60, 64))}
    full = limit | {waiting: gauge((10, 0), (20, 40), (30, 0))}
    yield Case(name, "ticket", "40 of 64 wait", full, (25,), (9, 12, 45))
    grows = limit | {waiting: gauge((10, 0), *((1, 3 * i) for i in range(16)), (30, 0))}
    yield Case(name, "ticket", "it will be full in 15 minutes", grows, (25,), (9, 14, 45))
    short = limit | {waiting: gauge((10, 0), (1, 64), (30, 0))}
    yield Case(name, "ticket", "a burst", short, (), (11, 15, 20))
    none = {most: gauge((60, 0)), waiting: gauge((60, 0))}
    yield Case(name, "ticket", "no queue at all", none, (), (40,))

    name = "Gemma4KvCacheFull"

    def kv(share: float, running: int) -> dict[str, str]:
        values = {"kv_cache_usage_perc": share, "num_requests_running": running}
        found = {
            f"gemma4_{n}{{{TRITON}}}": gauge((10, 0), (40, v), (30, 0)) for n, v in values.items()
        }
        return found | {f"gemma4_slots{{{TRITON}}}": gauge((80, 128))}

    yield Case(name, "ticket", "long prompts", kv(0.99, 40), (35,), (9, 70))
    yield Case(name, "ticket", "all slots run: llama.cpp", kv(1.0, 128), (), (35,))
    yield Case(name, "ticket", "room is left", kv(0.9, 40), (), (35,))

    name = "Gemma4ReplicaSkew"

    def running(*values: int) -> dict[str, str]:
        return {
            f'gemma4_num_requests_running{{{POD.replace("-0", f"-{i}").replace("0.1", f"0.{i}")}}}':
                gauge((10, 1), (40, value), (40, 1))
            for i, value in enumerate(values)
        }  # fmt: skip

    yield Case(name, "ticket", "all go to one of two", running(30, 1), (40,), (9, 75))
    yield Case(name, "ticket", "evenly spread", running(30, 26, 31), (), (40,))
    yield Case(name, "ticket", "one replica", running(30), (), (40,))
    yield Case(name, "ticket", "reuse of the cache", running(8, 0), (), (40,))

    def ttft(slow: float, other: float) -> dict[str, str]:
        found = {}
        for labels, mean in ((TRITON, slow), (OTHER, other)):
            name = "gemma4_time_to_first_token_seconds"
            found[f"{name}_count{{{labels}}}"] = counter((90, 10))
            found[f"{name}_sum{{{labels}}}"] = counter((10, 1), (40, 10 * mean), (40, 1))
        return found

    yield Case(name, "ticket", "one is slow", ttft(3, 0.2), (40,), (9, 75))
    yield Case(name, "ticket", "both are slow", ttft(3, 2), (), (40,))
    yield Case(name, "ticket", "both are fast", ttft(0.3, 0.02), (), (40,))
    idle = {name: values for name, values in ttft(3, 1).items() if OTHER not in name}
    yield Case(name, "ticket", "no sibling", idle, (), (40,))

    name = "Gemma4PreparationSlow"

    def prepare(fast: float) -> dict[str, str]:
        name = f"gemma4_request_prepare_time_seconds_bucket{{{POD},le="
        return {
            f'{name}"1.0"}}': counter((10, 60), (40, fast), (40, 60)),
            f'{name}"2.5"}}': counter((90, 60)),
            f'{name}"+Inf"}}': counter((90, 60)),
        }

    yield Case(name, "ticket", "a fifth takes seconds", prepare(48), (40,), (9, 75))
    yield Case(name, "ticket", "all fast", prepare(60), (), (40,))
    yield Case(name, "ticket", "no traffic",
               {k: counter((90, 0)) for k in prepare(60)}, (), (40,))  # fmt: skip

    name = "Gemma4ClientsLag"

    def lag(chunks: float) -> dict[str, str]:
        return {
            f"gemma4_streamed_tokens_total{{{TRITON}}}": counter((90, 3000)),
            f"gemma4_streamed_chunks_total{{{TRITON}}}": counter(
                (10, 3000), (40, chunks), (40, 3000)
            ),
        }

    yield Case(name, "ticket", "30 tokens a chunk", lag(100), (40,), (9, 75))
    yield Case(name, "ticket", "4 tokens a chunk", lag(750), (), (40,))
    still = {k: counter((90, 0)) for k in lag(1)}
    yield Case(name, "ticket", "no traffic", still, (), (40,))


def _gateway() -> Iterable[Case]:
    name = "Gemma4GatewayLimits"

    def limited(rate: float) -> dict[str, str]:
        return {
            f'gemma4_gateway_limited_total{{{GATEWAY},limit="gateway_full"}}':
                counter((10, 0), (40, rate), (40, 0)),
            f'gemma4_gateway_requests_total{{{GATEWAY},route="chat",status="200"}}':
                counter((90, 100)),
        }  # fmt: skip

    yield Case(name, "ticket", "a fifth", limited(20), (40,), (9, 12, 75))
    yield Case(name, "ticket", "4 %", limited(4), (), (40,))

    end = f"gemma4_gateway_tls_certificate_not_after_seconds{{{GATEWAY}}}"

    def ends(days: float) -> dict[str, str]:
        return {end: gauge((100, f"{days * DAY:.0f}"), (30, 90 * DAY))}

    yield Case(
        "Gemma4CertificateExpired", "page", "the hour is over", ends(1 / 24), (61,), (50, 110)
    )
    yield Case("Gemma4CertificateExpired", "page", "no TLS", {}, (), (61,))
    name = "Gemma4CertificateExpiring"
    yield Case(name, "page", "2 days", ends(2), (15,), (5, 110))
    yield Case(name, "page", "20 days", ends(20), (), (90,))
    yield Case(name, "ticket", "20 days", ends(20), (65,), (30, 110))
    yield Case(name, "ticket", "22 days", ends(22), (), (90,))
    yield Case(name, "page", "it has expired", ends(0), (), (61,))

    name = "Gemma4CertificateReloadFailed"
    reloads = "gemma4_gateway_tls_reloads_total"
    failed = {f'{reloads}{{{GATEWAY},result="failed"}}': counter((10, 0), (1, 1), (40, 0))}
    yield Case(name, "ticket", "once", failed, (12,), (9, 40))
    loaded = {f'{reloads}{{{GATEWAY},result="loaded"}}': counter((10, 0), (1, 1), (40, 0))}
    yield Case(name, "ticket", "it was loaded", loaded, (), (12,))

    name = "Gemma4GatewayWorkerRestarts"
    restarts = f"gemma4_gateway_worker_restarts_total{{{GATEWAY}}}"
    one = {restarts: counter((10, 0), (1, 1), (90, 0))}
    yield Case(name, "ticket", "one", one, (12, 60), (9, 75))
    yield Case(name, "ticket", "long ago", {restarts: gauge((90, 7))}, (), (80,))
    yield Case(name, "ticket", "one process", {}, (), (12,))

    name = "Gemma4LogLinesDropped"
    lines = f"gemma4_gateway_log_lines_dropped{{{GATEWAY}}}"
    yield Case(
        name, "ticket", "50 a minute", {lines: counter((10, 0), (5, 50), (40, 0))}, (13,), (9, 40)
    )
    yield Case(name, "ticket", "long ago", {lines: gauge((60, 500))}, (), (30,))
    yield Case(name, "ticket", "the gateway is new", {lines: counter((10, 5), (-40, 0))}, (), (40,))


def _quality() -> Iterable[Case]:
    name = "Gemma4QualityGateFailed"
    ok = f"gemma4_quality_gate_ok{{{TRITON}}}"
    yield Case(name, "page", "it failed", {ok: gauge((10, 1), (20, 0), (20, 1))}, (12,), (9, 35))
    yield Case(name, "page", "it is switched off", {}, (), (20,))

    name = "Gemma4QualityGateStale"
    runs = "gemma4_quality_gate_runs_total"

    def gate(passed: str, skipped: str) -> dict[str, str]:
        return {
            f'{runs}{{{TRITON},result="passed"}}': passed,
            f'{runs}{{{TRITON},result="skipped"}}': skipped,
        }

    busy = gate(counter((10, 1), (1700, 0), (90, 1)), counter((10, 0), (1700, 0.1), (90, 0)))
    yield Case(name, "ticket", "never idle for a day", busy, (1600,), (9, 300, 1790))
    never = gate(counter((200, 0)), counter((10, 0), (190, 1)))
    yield Case(name, "ticket", "an engine without recorded answers", never, (80,), (9, 30))
    once = gate(gauge((3000, 1)), gauge((3000, 0)))
    yield Case(name, "ticket", "only at the start, by option", once, (), (2900,))
    at_times = gate(counter((200, 0.1)), counter((200, 1)))
    yield Case(name, "ticket", "some runs are skipped", at_times, (), (190,))


CASES: tuple[Case, ...] = tuple(
    case
    for cases in (_slo(), _down(), _engine(), _missing(), _capacity(), _gateway(), _quality())
    for case in cases
)
