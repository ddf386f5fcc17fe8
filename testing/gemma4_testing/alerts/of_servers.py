"""Faults of servers, each with the alerts that it must fire. All may happen at once: each has its
own namespace."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

from gemma4_testing.alerts.engines import Engines
from gemma4_testing.alerts.load import asked, client, going_on, streamed
from gemma4_testing.alerts.world import World, hold
from gemma4_testing.engine_folders.trtllm_folder import double_env
from gemma4_testing.waiting import wait_until

__all__ = ["SCENES"]

START_S = 120.0


def overload(world: World, engines: Engines) -> None:
    """Two slots and a queue of four."""
    server = world.server("overload", engines.narrow)
    with client(server.http_url) as http:
        fault = world.fault("six clients", "overload", "Gemma4QueueGrowing ticket")
        with going_on(partial(asked, http, max_tokens=40), 6):
            fault.fires()
        fault.ends()

        def eight_at_once() -> None:
            for _ in range(8):
                asked(http, max_tokens=2)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: asked(http, max_tokens=50), range(8)))

        fault = world.fault(
            "eight requests at once, and eight one by one", "overload",
            "Gemma4OverloadRefusals ticket",
        )  # fmt: skip
        with going_on(eight_at_once, 1):
            fault.fires()
        fault.ends()
        fault = world.fault("sixteen clients", "overload", "Gemma4OverloadRefusals page")
        with going_on(partial(asked, http, max_tokens=40), 16, pause=0.2):
            fault.fires()
        fault.ends()


def burn(world: World, engines: Engines) -> None:
    """An engine that fails answers at their 30th token, and reads 100 tokens a second."""
    server = world.server("burn", engines.slow, start=False)
    server.start(GEMMA4_FAULTS="fail_at=30")
    world.watch(server)
    numbers = count()
    late = "word " * 300
    with client(server.http_url) as http:

        def some() -> None:
            number = next(numbers)
            if number % 45 == 44:
                asked(http, max_tokens=40)
            else:
                asked(http, late if number % 8 == 1 else "Hello", max_tokens=2)

        def half() -> None:
            asked(http, late, max_tokens=40) if next(numbers) % 2 else asked(http, max_tokens=2)

        fault = world.fault(
            "2 % of the requests fail in the engine, 12 % wait for a long prompt", "burn",
            "Gemma4AvailabilityBurn ticket", "Gemma4TtftBurn ticket",
        )  # fmt: skip
        with going_on(some, 14):
            fault.fires()
        fault.ends()
        fault = world.fault(
            "half of the requests are late, and fail", "burn",
            "Gemma4AvailabilityBurn page", "Gemma4TtftBurn page",
        )  # fmt: skip
        with going_on(half, 8):
            fault.fires()
        fault.ends()


def pair(world: World, engines: Engines) -> None:
    """Two servers behind a gateway; the prefill of one is slow."""
    quick, slow = world.server("pair", engines.wide), world.server("pair", engines.slow)
    gateway = world.gateway("pair", (quick.grpc, slow.grpc))
    fault = world.fault(
        "one of two is flooded directly, the other's prefill is slow", "pair",
        "Gemma4ReplicaSkew ticket running", "Gemma4ReplicaSkew ticket ttft",
    )  # fmt: skip
    with (
        client(quick.http_url) as to_quick,
        client(slow.http_url) as to_slow,
        going_on(partial(asked, to_quick, max_tokens=200), 20),
        going_on(partial(asked, to_slow, "word " * 100, max_tokens=2), 1),
    ):
        fault.fires()
    fault.ends()
    fault = world.fault(
        "SIGKILL of one of two servers", "pair",
        "Gemma4ServerDown ticket", "Gemma4BackendNotReady ticket",
    )  # fmt: skip
    slow.kill()
    fault.fires()
    slow.start()
    fault.ends()
    fault = world.fault(
        "SIGSTOP and SIGCONT of a server, three times", "pair", "Gemma4BackendFlapping ticket"
    )
    with client(gateway.url) as http:

        def ready() -> int:
            return sum(each["ready"] for each in http.get("/health/ready").json()["backends"])

        for _ in range(3):
            quick.signal_all(signal.SIGSTOP)
            wait_until(lambda: ready() == 1, START_S, "not taken out", every=0.1)
            quick.signal_all(signal.SIGCONT)
            wait_until(lambda: ready() == 2, START_S, "not taken back", every=0.1)
    fault.fires()
    fault.ends()


def alone(world: World, engines: Engines) -> None:
    """A server behind a gateway. What Prometheus and Alertmanager say of it together: with the
    server, its symptoms fire, and nobody is told of them."""
    name = "alone"
    server = world.server(name, engines.wide)
    lagging = world.gateway(name, (server.grpc,), watched=False)
    fault = world.fault(
        "a gateway stopped for most of the time, twelve streams", name, "Gemma4ClientsLag ticket"
    )
    with client(lagging.url) as http:
        lags = going_on(partial(hold, lagging.process, 2.0), 1, pause=0.1)
        with going_on(partial(streamed, http, max_tokens=400), 12), lags:
            fault.fires()
    fault.ends()
    gateway = world.gateway(name, (server.grpc,))
    symptoms = {
        "Gemma4NoReadyBackend page", "Gemma4BackendNotReady ticket", "Gemma4AvailabilityBurn page",
    }  # fmt: skip
    with client(gateway.url) as http, going_on(partial(streamed, http, max_tokens=5), 4, pause=0.4):
        time.sleep(10)
        fault = world.fault("SIGKILL of the only server", name, "Gemma4ServerDown page")
        server.kill()
        fault.fires()
        wait_until(lambda: symptoms <= world.alerting.firing(name), START_S, "no symptoms", every=1)
        wait_until(lambda: symptoms <= world.alerting.silenced(name), START_S, "not silenced")
        told = {form for _, form in world.alerting.told(name)}
        assert not told & (symptoms - {"Gemma4AvailabilityBurn page"}), told
        server.start()
        fault.ends()
    told = {form for _, form in world.alerting.told(name)}
    assert not told & (symptoms - {"Gemma4AvailabilityBurn page"}), told


def frozen(world: World, engines: Engines) -> None:
    """A server whose supervisor is stopped, so that nobody heals it."""
    server = world.server("frozen", engines.narrow)
    supervisor = server.process("gemma4 serve")
    supervisor.suspend()
    fault = world.fault(
        "SIGSTOP and SIGCONT of the preparing process, again and again", "frozen",
        "Gemma4PreparationSlow ticket",
    )  # fmt: skip
    preparing = server.process("preparation")
    with client(server.http_url) as http:
        stops = going_on(partial(hold, preparing, 1.4), 1, pause=0.2)
        with going_on(partial(asked, http, max_tokens=1), 3), stops:
            fault.fires()
    fault.ends()
    fault = world.fault(
        "SIGSTOP of `gemma4 serve` and of the engine's process", "frozen", "Gemma4EngineFrozen page"
    )
    engine = server.process("engine")
    engine.suspend()
    fault.fires()
    engine.resume()
    supervisor.resume()
    fault.ends()


def lost(world: World, engines: Engines) -> None:
    """SIGKILL of the engine's process, and a drain that takes long."""
    server = world.server("lost", engines.wide, "--restarts", "10", "--grace", "300")
    fault = world.fault("SIGKILL of the engine's process", "lost", "Gemma4EngineRestarts ticket")
    server.process("engine").kill()
    fault.fires()
    fault.ends()
    fault = world.fault(
        "SIGKILL of the engine's process, three times", "lost", "Gemma4EngineRestarts page"
    )
    killed = 0
    for _ in range(3):
        engine = server.wait_for_process("engine", START_S, other_than=killed)
        killed = engine.pid
        engine.kill()
    fault.fires()
    fault.ends()
    wait_until(server.ready, START_S, "not ready", every=0.2)
    long = partial(asked, max_tokens=4000)
    with client(server.http_url) as http, going_on(partial(long, http), 1, pause=1):
        time.sleep(2)
        fault = world.fault(
            "SIGTERM while an answer of 80 s goes on", "lost", "Gemma4DrainStuck ticket"
        )
        server.terminate()
        fault.fires()
        server.terminate()
        fault.ends()


def gate(world: World, engines: Engines) -> None:
    """The recorded answers do not come any more, and there are none."""
    server = world.server("gate", engines.narrow, start=False)
    server.start(GEMMA4_FAULTS="wrong_at=3")
    world.watch(server)
    fault = world.fault(
        "an engine that gives other tokens, as damaged weights do", "gate",
        "Gemma4QualityGateFailed page",
    )  # fmt: skip
    fault.fires()
    server.drain()
    server.engine = engines.unrecorded
    fault.ends()
    server.start()
    fault = world.fault(
        "an engine without recorded answers", "gate", "Gemma4QualityGateStale ticket"
    )
    fault.fires()
    server.drain()
    server.engine = engines.narrow
    server.start()
    fault.ends()


def kv_cache(world: World, engines: Engines) -> None:
    """The double of TensorRT-LLM, with a pool of 1600 tokens and eight slots."""
    server = world.server("kv", engines.trtllm, start=False)
    server.start(TRTLLM_DOUBLE_KV_TOKENS="1600", **double_env())
    world.watch(server)
    fault = world.fault(
        "four long prompts at once, on the double of TensorRT-LLM", "kv", "Gemma4KvCacheFull ticket"
    )
    with client(server.http_url) as http:
        long = partial(asked, http, "word " * 500, min_tokens=100, max_tokens=100)
        with going_on(long, 4):
            fault.fires()
    fault.ends()


SCENES = (overload, burn, pair, alone, frozen, lost, gate, kv_cache)
