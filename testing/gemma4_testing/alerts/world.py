"""What all scenes share, the stack of servers and gateways of each, and what came of its faults."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from gemma4_testing.alerts.scene_engines import Engines
from gemma4_testing.alerts.scene_processes import Gateway, Server
from gemma4_testing.servers.alerting import Alerting, Target
from gemma4_testing.waiting import wait_until

__all__ = ["Came", "Fault", "Stack", "World"]

PATIENCE_S = 240.0


@dataclass
class Came:
    """What came of a fault: seconds from it to the message, and from its end to the next one."""

    fault: str
    fired: float
    ended: float | None = None


@dataclass
class Fault:
    """One that begins now; ``forms``: what it must fire, none of which may fire yet."""

    world: World
    namespace: str
    name: str
    forms: tuple[str, ...]
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        early = [f for f in self.forms if self.world.alerting.last(self.namespace, f) == "firing"]
        assert not early, f"{early} fired before: {self.name}"

    def fires(self) -> None:
        """Wait until each was told."""
        for form in self.forms:
            at = self.world.alerting.wait(self.namespace, form, "firing", PATIENCE_S)
            self.world.came[form] = Came(self.name, at - self.began)

    def inhibits(self, *symptoms: str) -> None:
        """Wait until these fire too, and Alertmanager keeps them for itself."""
        alerting, namespace, wanted = self.world.alerting, self.namespace, set(symptoms)
        wait_until(
            lambda: wanted <= alerting.firing(namespace) & alerting.inhibited(namespace),
            PATIENCE_S, f"{symptoms} are not inhibited: {self.name}", every=1,
        )  # fmt: skip

    def ends(self) -> None:
        """Call it when the fault is over: wait until the end of each was told too."""
        began = time.monotonic()
        for form in self.forms:
            at = self.world.alerting.wait(self.namespace, form, "resolved", PATIENCE_S)
            self.world.came[form].ended = at - began


class World:
    """Prometheus, Alertmanager, and the engines. ``came``: by form."""

    def __init__(self, folder: Path, engines: Engines) -> None:
        (folder / "monitoring").mkdir()
        self.folder, self.engines = folder, engines
        self.alerting = Alerting(folder / "monitoring")
        self.came: dict[str, Came] = {}
        self._lock = Lock()
        self._spare = Stack(self, "spare")
        self._backend: int | None = None

    @contextmanager
    def stack(self, namespace: str) -> Iterator[Stack]:
        """A stack that is there for the time of a scene."""
        stack = Stack(self, namespace)
        try:
            yield stack
        finally:
            stack.close()

    def backend(self) -> int:
        """The gRPC port of a server that is well, for scenes that need no other."""
        with self._lock:
            if self._backend is None:
                self._backend = self._spare.server(self.engines.wide).grpc
            return self._backend

    def fault(self, name: str, *forms: str) -> Fault:
        """Say that a fault of what is in no namespace begins now."""
        return Fault(self, "", name, forms)

    def table(self) -> str:
        """What came so far, in Markdown."""
        rows = ["| alert | severity | fault | fired after | ended after |", "|---|---|---|---|---|"]
        for form, came in sorted(self.came.items()):
            alert, severity = form.split(" ", 1)
            ended = "not" if came.ended is None else f"{came.ended:.0f} s"
            rows.append(f"| {alert} | {severity} | {came.fault} | {came.fired:.0f} s | {ended} |")
        return "\n".join(rows)

    def close(self) -> None:
        """End all that it started."""
        self._spare.close()
        self.alerting.close()


class Stack:
    """Servers and gateways of one namespace, whose alerts silence no others."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world, self.namespace = world, namespace
        self.engines, self.alerting = world.engines, world.alerting
        self._made: list[Server | Gateway] = []
        self._targets: list[Target] = []

    def server(self, engine: Path, *args: str, **env: str) -> Server:
        """One more, which Prometheus watches."""
        run_dir = self.world.folder / f"{self.namespace}{len(self._made)}"
        server = Server(engine, run_dir, ("--max-queued", "4", *args))
        self._made.append(server)
        server.start(**env)
        self.watch(self.target("triton", server.metrics))
        return server

    def gateway(
        self,
        *backends: int,
        args: tuple[str, ...] = (),
        watched: bool = True,
        log: str | None = None,
    ) -> Gateway:
        """One more; ``backends``: gRPC ports; ``log``: the file that standard error goes to."""
        gateway = Gateway(backends, args, log)
        self._made.append(gateway)
        gateway.start()
        if watched:
            self.watch(self.target("gateway", gateway.port, https="--ssl-certfile" in args))
        return gateway

    def target(self, job: str, port: int, *, https: bool = False) -> Target:
        """What Prometheus is to scrape, or not."""
        return Target(self.namespace, job, port, https)

    def watch(self, target: Target) -> None:
        """Let Prometheus scrape it, and return when it has."""
        self._targets.append(target)
        self.alerting.watch(target)
        self.alerting.wait_for_scrape(target)

    def fault(self, name: str, *forms: str) -> Fault:
        """Say that a fault begins now."""
        return Fault(self.world, self.namespace, name, forms)

    def told(self) -> set[str]:
        """Forms of which Alertmanager has sent anything."""
        return {form for _, form in self.alerting.told(self.namespace)}

    def firing(self) -> set[str]:
        """Forms that fire in Prometheus, whoever is told."""
        return self.alerting.firing(self.namespace)

    def close(self) -> None:
        """End all of it."""
        self.alerting.forget(*self._targets)
        for each in reversed(self._made):
            each.end()
