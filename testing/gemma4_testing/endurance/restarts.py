"""Servers and gateways that stop under load: by SIGTERM in either order, and one after another.

``python -m gemma4_testing.endurance.restarts [--rounds N]``: exit status 1 when a request was lost
before its first token, was answered twice, or was cut.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gemma4_runtime.server.board import Field

from gemma4_testing.endurance.asked import Clients, begun
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until_async

__all__ = ["STREAMS", "Outcome", "rolling", "stop_both"]

STREAMS = 100
SLOTS = 92
"""Few enough that some of the streams wait in the engine: the gateway sends an eighth more."""
PACE = 20.0
"""Tokens per second and stream."""
LONG = 120
"""Tokens of a stream that is under way at the signal: 6 s."""
BETWEEN_S = 1.0
"""From the first signal to the second."""
ROLLING_STREAMS = 24


@dataclass
class Outcome:
    """``ends`` and ``tries`` of requests (:class:`Asked`), the exit ``statuses`` of all processes,
    ``twice``: ids that engines began with more than once; ``unknown``: that clients have whole and
    no engine began with."""

    ends: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    statuses: list[int] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether nothing was lost, cut or answered twice, and all ended with status 0."""
        whole = set(self.ends) <= {"whole", "refused"} and self.ends["whole"] > 0
        return whole and not self.twice and not self.unknown and not any(self.statuses)

    def judge(self, clients: Clients, servers: list[Served]) -> Outcome:
        """Compare what clients got with what engines began."""
        self.ends += clients.ends()
        self.tries += clients.tries()
        times = begun(servers)
        self.twice += [f"{name}: {n} times" for name, n in times.items() if n > 1]
        self.unknown += [a.name for a in clients.asked if a.end == "whole" and not times[a.name]]
        return self

    def __str__(self) -> str:
        return (f"{dict(self.ends)}, sent again after {dict(self.tries)}, exit statuses "
                f"{self.statuses}, begun twice {self.twice}, unknown {self.unknown}")  # fmt: skip


def stop_both(folder: Path, first: str, *, slots: int = SLOTS) -> Outcome:
    """Begin 100 streams through a gateway, of which some wait for a slot, then SIGTERM to
    ``first``, "gateway" or "Triton", and a second later to the other one. Requests that come
    meanwhile are refused, each once, as "refused"."""
    engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=slots)
    served = Served(engine, folder / "run")
    gateway = RunningGateway(served.grpc)
    order = [gateway, served] if first == "gateway" else [served, gateway]

    async def run() -> Clients:
        clients = Clients([gateway.url], f"{first}-first")
        streams = [
            asyncio.create_task(clients.ask(LONG, stream=n % 2 == 0, tries=1))
            for n in range(STREAMS)
        ]
        board = served.board()
        await wait_until_async(
            lambda: board[Field.ACTIVE] + board[Field.QUEUED] == STREAMS, 30, "streams run"
        )
        order[0].process.send_signal(signal.SIGTERM)
        late = [asyncio.create_task(_late(clients, n)) for n in range(10)]
        await asyncio.sleep(BETWEEN_S)
        order[1].process.send_signal(signal.SIGTERM)
        await asyncio.gather(*streams, *late)
        await clients.close()
        return clients

    clients = asyncio.run(run())
    for asked in clients.asked[STREAMS:]:
        refused = asked.end == "lost" and asked.tries in (["draining"], ["unavailable"])
        asked.end = "refused" if refused else asked.end
    outcome = Outcome(statuses=[x.process.wait(60) for x in order])
    return outcome.judge(clients, [served])


async def _late(clients: Clients, number: int) -> None:
    await asyncio.sleep(0.2 + number * 0.15)
    await clients.ask(5, stream=number % 2 == 0, tries=1)


class _Stack:
    """Two servers behind two gateways, each of which can be started again at its ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = synthetic_engine(folder / "engine", tokens_per_s=PACE, slots=SLOTS)
        self.servers = [Served(self._engine, folder / f"run{n}") for n in range(2)]
        self.gateways = [RunningGateway(*(s.grpc for s in self.servers)) for _ in range(2)]
        self.ended: list[Served] = []
        self.statuses: list[int] = []

    def restart_server(self, number: int) -> None:
        old = self.servers[number]
        self.statuses.append(old.stop())
        self.ended.append(old)
        ports = ("--http-port", str(old.http), "--grpc-port", str(old.grpc))
        self.servers[number] = Served(self._engine, self._folder / f"run{number}", *ports)

    def restart_gateway(self, number: int) -> None:
        old = self.gateways[number]
        self.statuses.append(old.stop())
        backends = (server.grpc for server in self.servers)
        self.gateways[number] = RunningGateway(*backends, args=("--port", str(old.port)))

    def stop(self) -> None:
        self.statuses += [x.stop() for x in (*self.gateways, *self.servers)]


def rolling(folder: Path, *, rounds: int = 1) -> Outcome:
    """Restart server, gateway, server, gateway, under 24 clients."""
    stack = _Stack(folder)
    over = False

    async def run() -> Clients:
        nonlocal over
        clients = Clients([gateway.url for gateway in stack.gateways], "rolling")
        load = asyncio.create_task(clients.keep(ROLLING_STREAMS, lambda: over))
        try:
            for number in (0, 1) * rounds:
                await asyncio.sleep(2)
                await asyncio.to_thread(stack.restart_server, number)
                await asyncio.sleep(2)
                await asyncio.to_thread(stack.restart_gateway, number)
        finally:
            over = True
        await load
        await clients.close()
        return clients

    clients = asyncio.run(run())
    stack.stop()
    return Outcome(statuses=stack.statuses).judge(clients, [*stack.ended, *stack.servers])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="of restarts of all four")
    options = parser.parse_args()
    right = True
    with tempfile.TemporaryDirectory(prefix="gemma4-restarts-") as name:
        for what in ("gateway", "Triton", "rolling"):
            folder = Path(name) / what
            folder.mkdir()
            if what == "rolling":
                outcome = rolling(folder, rounds=options.rounds)
            else:
                outcome = stop_both(folder, what)
            how = what if what == "rolling" else f"{what} first"
            print(f"{'ok    ' if outcome.right else 'FAILED'} {how}: {outcome}", flush=True)
            right &= outcome.right
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
