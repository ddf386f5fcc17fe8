"""Many requests at once with a canary beside them, and what must be true afterward."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from gemma4_client.wire import build_request
from gemma4_runtime.errors import Code

from gemma4_testing.fuzz.mutate import case
from gemma4_testing.fuzz.send import MODELS_OF, PROTOCOLS, Ended, NotEndedError, Sender
from gemma4_testing.fuzz.spec import Spec
from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

WORKERS = 8
CANARY_S = 0.1
IDLE_S = 10


@dataclass
class Canary:
    """A short request each :data:`CANARY_S` seconds, by turns to the ensemble and the engine.
    ``refused`` of them met a full queue, as any request may."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: int = 0

    def run(self, server: Served, over: Event) -> None:
        inputs = {"text_input": "Hello", "max_tokens": 3, "temperature": 0.0}
        requests = [
            build_request(inputs, model=model).SerializeToString() for model in ("gemma4", "engine")
        ]
        with Sender(server.http, server.grpc) as sender:
            while not (over.wait(CANARY_S) and len(self.seconds) > self.refused):
                started = time.monotonic()
                try:
                    ended = sender.stream_bytes([requests[len(self.seconds) % 2]])
                    if ended.code == Code.QUEUE_FULL:
                        self.refused += 1
                    elif ended.error or ended.ends != 1 or not ended.answers:
                        self.failures.append(f"{ended}")
                except NotEndedError as error:
                    self.failures.append(str(error))
                self.seconds.append(time.monotonic() - started)

    @property
    def p99(self) -> float:
        """Seconds of the whole answer."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] if self.seconds else 0.0


def processes(server: Served) -> set[int]:
    return {process.pid for process in lasting(server.process.pid)}


def trouble(lines: list[str]) -> list[str]:
    """Log lines of an exception of ours, or of a process that ended."""
    signs = ("Traceback", "step_failed", "thread_died", "restarting", "Stub process", "\\n\\nAt:")
    return [line[:2000] for line in lines if any(sign in line for sign in signs)]


@contextmanager
def watched(server: Served) -> Iterator[Canary]:
    """Whatever is sent inside: afterward the same processes run, the server is ready, nothing is
    in flight, the log has no exception, and every canary was answered."""
    before, lines = processes(server), len(server.output)
    canary, over = Canary(), Event()
    thread = Thread(target=canary.run, args=(server, over))
    thread.start()
    try:
        yield canary
    finally:
        over.set()
        thread.join()
    found = trouble(server.output[lines:])
    assert not found, "\n".join(found[:5])
    assert server.ready()
    assert processes(server) == before
    wait_until(server.idle, IDLE_S)
    assert canary.failures == []
    assert len(canary.seconds) > canary.refused


def told(spec: Spec) -> str:
    return json.dumps(vars(spec), default=repr)[:3000]


@dataclass
class Endings:
    """How many were answered and refused, and the three that took longest: seconds, number."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, int]] = field(default_factory=list)

    def add(self, other: Endings) -> None:
        self.counts += other.counts
        self.slowest = sorted(self.slowest + other.slowest)[-3:]


def fuzz(server: Served, protocol: str, *, seed: int, count: int) -> Endings:
    """Send ``count`` requests of ``protocol``."""
    send = PROTOCOLS[protocol]
    endings = Endings()

    def work(worker: int) -> Endings:
        found = Endings()
        with Sender(server.http, server.grpc) as sender:
            for number in range(worker, count, WORKERS):
                spec = case(seed, number, MODELS_OF[protocol])
                started = time.monotonic()
                ended = _sent(lambda s, n: send(sender, s, n), spec, number, f"{protocol} {seed}/")
                one = Counter(["error" if ended.error else "answer"])
                found.add(Endings(one, [(time.monotonic() - started, number)]))
                exact = spec.cut == 1 and not spec.wire and not spec.parameters
                if exact and protocol == "grpc stream" and ended.error != "INTERNAL":
                    assert ended.ends == 1, f"{protocol} {seed}/{number}: {ended} {told(spec)}"
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        for found in pool.map(work, range(WORKERS)):
            endings.add(found)
    return endings


def _sent(send: Callable[[Spec, int], Ended], spec: Spec, number: int, name: str) -> Ended:
    try:
        return send(spec, number)
    except AssertionError as error:
        raise type(error)(f"{name}{number}: {error}\n{told(spec)}") from error
