"""Faults of servers, each with the alerts that it must fire."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

from gemma4_testing.alerts.load import asked, client, going_on, streamed, streamed_directly
from gemma4_testing.alerts.scene_processes import hold
from gemma4_testing.alerts.world import Stack
from gemma4_testing.engine_folders.trtllm_folder import double_env
from gemma4_testing.waiting import wait_until

__all__ = ["SCENES"]

START_S = 120.0


def overload(stack: Stack) -> None:
    """Two slots and a queue of four."""
    server = stack.server(stack.engines.narrow)
    with client(server.http_url) as http:
        fault = stack.fault("six clients of two slots", "Gemma4QueueGrowing ticket")
        with going_on(partial(asked, http, max_tokens=40), 6):
            fault.fires()
        fault.ends()

        def eight_at_once() -> None:
            for _ in range(8):
                asked(http, max_tokens=2)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: asked(http, max_tokens=50), range(8)))

        fault = stack.fault(
            "eight requests at once, and eight one by one", "Gemma4OverloadRefusals ticket"
        )
        with going_on(eight_at_once, 1):
            fault.fires()
        fault.ends()
        fault = stack.fault("sixteen clients of two slots", "Gemma4OverloadRefusals page")
        with going_on(partial(asked, http, max_tokens=40), 16, pause=0.2):
            fault.fires()
            fault.inhibits("Gemma4OverloadRefusals ticket", "Gemma4QueueGrowing ticket")
        fault.ends()


def burn(stack: Stack) -> None:
    """An engine that fails answers at their 30th token, and reads 100 tokens a second."""
    server = stack.server(stack.engines.slow, GEMMA4_FAULTS="fail_at=30")
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

        fault = stack.fault(
            "2 % of the requests fail in the engine, 12 % wait for a long prompt",
            "Gemma4AvailabilityBurn ticket", "Gemma4TtftBurn ticket",
        )  # fmt: skip
        with going_on(some, 14):
            fault.fires()
        fault.ends()
        fault = stack.fault(
            "half of the requests are late, and fail",
            "Gemma4AvailabilityBurn page", "Gemma4TtftBurn page",
        )  # fmt: skip
        with going_on(half, 8):
            fault.fires()
        fault.ends()


def pair(stack: Stack) -> None:
    """Two servers behind a gateway; the prefill of one is slow."""
    quick, slow = stack.server(stack.engines.wide), stack.server(stack.engines.slow)
    gateway = stack.gateway(quick.grpc, slow.grpc)
    fault = stack.fault(
        "one of two is flooded directly, the other's prefill is slow",
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
    fault = stack.fault(
        "SIGKILL of one of two servers",
        "Gemma4ServerDown ticket", "Gemma4BackendNotReady ticket",
    )  # fmt: skip
    slow.kill()
    fault.fires()
    slow.start()
    fault.ends()
    fault = stack.fault(
        "SIGSTOP and SIGCONT of a server, three times", "Gemma4BackendFlapping ticket"
    )
    for _ in range(3):
        quick.signal_all(signal.SIGSTOP)
        wait_until(lambda: gateway.ready_backends() == 1, START_S, "not taken out", every=0.1)
        quick.signal_all(signal.SIGCONT)
        wait_until(lambda: gateway.ready_backends() == 2, START_S, "not taken back", every=0.1)
    fault.fires()
    fault.ends()


def only(stack: Stack) -> None:
    """The only server behind a gateway is killed: its symptoms fire too, and Alertmanager keeps
    them for itself as long as the server is gone. Afterwards it need not: the gateway asks its back
    end every two seconds, and Prometheus may see the server first."""
    server = stack.server(stack.engines.wide)
    gateway = stack.gateway(server.grpc)
    symptoms = {"Gemma4NoReadyBackend page", "Gemma4BackendNotReady ticket"}
    burn = "Gemma4AvailabilityBurn page"  # may come first: it looks at requests, and waits for none
    with client(gateway.url) as http, going_on(partial(streamed, http, max_tokens=5), 4, pause=0.4):
        fault = stack.fault("SIGKILL of the only server", "Gemma4ServerDown page")
        server.kill()
        fault.fires()
        fault.inhibits(burn, *symptoms)
        assert stack.told().isdisjoint(symptoms), stack.told()
        server.start()
        fault.ends()


def lagging(stack: Stack) -> None:
    """Postprocessing is slow, and its supervisor is stopped, so that nobody replaces it."""
    server = stack.server(stack.engines.wide)
    server.process("gemma4 serve").suspend()
    fault = stack.fault(
        "SIGSTOP and SIGCONT of postprocessing, again and again, with twelve streams",
        "Gemma4ClientsLag ticket",
    )
    stops = going_on(partial(hold, server.process("postprocessing"), 0.9), 1, pause=0.05)
    ask = partial(streamed_directly, max_tokens=200)
    with client(server.http_url) as http, going_on(partial(ask, http), 12), stops:
        fault.fires()
    fault.ends()


def frozen(stack: Stack) -> None:
    """A server whose supervisor is stopped, so that nobody heals it."""
    server = stack.server(stack.engines.narrow)
    supervisor = server.process("gemma4 serve")
    supervisor.suspend()
    fault = stack.fault(
        "SIGSTOP and SIGCONT of the preparing process, again and again",
        "Gemma4PreparationSlow ticket",
    )
    preparing = server.process("preparation")
    with client(server.http_url) as http:
        stops = going_on(partial(hold, preparing, 1.4), 1, pause=0.2)
        with going_on(partial(asked, http, max_tokens=1), 3), stops:
            fault.fires()
    fault.ends()
    engine = server.process("engine")
    ask = partial(asked, max_tokens=40)
    with client(server.http_url) as http, going_on(partial(ask, http), 8, pause=0.3):
        # An engine that stops before it has taken any request refuses none.
        wait_until(lambda: server.queued() > 2, START_S, "no queue", every=0.1)
        fault = stack.fault(
            "SIGSTOP of `gemma4 serve` and of the engine's process", "Gemma4EngineFrozen page"
        )
        engine.suspend()
        fault.fires()
        fault.inhibits("Gemma4OverloadRefusals page")
        engine.resume()
    supervisor.resume()
    fault.ends()


def lost(stack: Stack) -> None:
    """SIGKILL of the engine's process, and a drain that takes long."""
    server = stack.server(stack.engines.wide, "--restarts", "10", "--grace", "300")
    fault = stack.fault("SIGKILL of the engine's process", "Gemma4EngineRestarts ticket")
    server.process("engine").kill()
    fault.fires()
    fault.ends()
    fault = stack.fault("SIGKILL of the engine's process, three times", "Gemma4EngineRestarts page")
    killed = 0
    for _ in range(3):
        engine = server.wait_for_process("engine", START_S, other_than=killed)
        killed = engine.pid
        engine.kill()
    fault.fires()
    fault.ends()
    wait_until(server.ready, START_S, "not ready", every=0.2)
    with client(server.http_url) as http:
        long = partial(asked, http, min_tokens=4000, max_tokens=4000)
        with going_on(long, 1, pause=1):
            wait_until(server.busy, START_S, "no answer is under way", every=0.2)
            fault = stack.fault(
                "SIGTERM while an answer of 80 s goes on", "Gemma4DrainStuck ticket"
            )
            server.terminate()
            fault.fires()
            server.terminate()
            fault.ends()


def gate(stack: Stack) -> None:
    """The recorded answers do not come any more, and there are none."""
    server = stack.server(stack.engines.narrow, GEMMA4_FAULTS="wrong_at=3")
    fault = stack.fault(
        "an engine that gives other tokens, as damaged weights do", "Gemma4QualityGateFailed page"
    )
    fault.fires()
    server.drain()
    server.engine = stack.engines.unrecorded
    fault.ends()
    server.start()
    fault = stack.fault("an engine without recorded answers", "Gemma4QualityGateStale ticket")
    fault.fires()
    server.drain()
    server.engine = stack.engines.narrow
    server.start()
    fault.ends()


def kv_cache(stack: Stack) -> None:
    """The double of TensorRT-LLM, with a pool of 1600 tokens and eight slots."""
    server = stack.server(stack.engines.trtllm, TRTLLM_DOUBLE_KV_TOKENS="1600", **double_env())
    fault = stack.fault(
        "four long prompts at once, on the double of TensorRT-LLM", "Gemma4KvCacheFull ticket"
    )
    with client(server.http_url) as http:
        long = partial(asked, http, "word " * 500, min_tokens=100, max_tokens=100)
        with going_on(long, 4):
            fault.fires()
    fault.ends()


SCENES = (pair, lost, burn, overload, frozen, only, gate, lagging, kv_cache)
