"""One cell of the fault matrix: a process, what happens to it, and when."""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psutil
from gemma4_client import Client, Gemma4Error
from gemma4_serve.proc import name_of, runs
from gemma4_serve.run_folder import namespace

from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.faults.watched_streams import Endpoints, Watched, start_streams
from gemma4_testing.servers.process_tree import find_processes, kill_each, pids_below
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

__all__ = ["FAULTS", "PHASES", "PROCESSES", "Cell", "Result", "fault_engine", "run_cell"]

PROCESSES = (
    "preprocessing", "preparation", "engine", "postprocessing", "gemma4_tokenizer", "gemma4_unary",
    "tritonserver", "gemma4 serve",
)  # fmt: skip
FAULTS = ("kill", "freeze 0.5", "freeze 2", "freeze 15")
PHASES = ("start", "prefill", "decode", "drain")
STREAMS = 16
TOKENS = 300
_PREFILL_S = 2.0
NEVER_S = 60.0
_POLL_S = 0.02
_SLOW_S = 120.0


@dataclass(frozen=True)
class Cell:
    process: str
    fault: str
    phase: str


@dataclass
class Result:
    """Times are seconds after the fault; None: it did not happen. ``outcomes``: how many streams
    ended how. ``left``: what is still there after the end."""

    cell: Cell
    outcomes: Counter[str] = field(default_factory=Counter)
    told: float | None = None
    unready: float | None = None
    recovered: float | None = None
    exit_status: int | None = None
    left: list[str] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return set(self.outcomes) == {"whole"}


def fault_engine(folder: Path) -> Path:
    """50 tokens/s a stream, and two seconds before the first."""
    return synthetic_engine(folder, tokens_per_s=50, slots=32, prefill_tokens_per_s=20 / _PREFILL_S)


def run_cell(cell: Cell, engine: Path, gateway_args: tuple[str, ...] = ()) -> Result:
    """Start a server and a gateway, let it happen, watch, and stop both."""
    result = Result(cell)
    with tempfile.TemporaryDirectory(prefix="gemma4-fault-") as folder:
        run_dir = Path(folder) / "run"
        if cell.phase == "start":
            _during_start(cell, engine, run_dir, result)
        else:
            served = Served(engine, run_dir, "--grace", "20")
            gateway = RunningGateway(served.grpc, args=gateway_args)
            try:
                _while_serving(cell, served, gateway, result)
            finally:
                _end(served, result)
                gateway.stop()
    return result


def find(root: int, process: str) -> psutil.Process | None:
    """The first process of a server with a name as in :data:`PROCESSES`."""
    if process == "gemma4 serve":
        return psutil.Process(root)
    found = find_processes(root, lambda child: name_of(child.pid) == process)
    return found[0] if found else None


def _strike(cell: Cell, victim: psutil.Process) -> None:
    if cell.fault == "kill":
        victim.kill()
    else:
        victim.send_signal(signal.SIGSTOP)


def _thaw(cell: Cell, victim: psutil.Process, struck: float) -> None:
    """Let a frozen process go on when its time is over."""
    if cell.fault == "kill":
        return
    time.sleep(max(0.0, struck + float(cell.fault.split()[1]) - time.monotonic()))
    with suppress(psutil.NoSuchProcess):
        victim.send_signal(signal.SIGCONT)


def _while_serving(cell: Cell, served: Served, gateway: RunningGateway, result: Result) -> None:
    ports = Endpoints(served.grpc, served.http, gateway.port)
    victim = find(served.process.pid, cell.process)
    assert victim is not None, cell.process
    result.known = pids_below(served.process.pid)
    streams = start_streams(ports, STREAMS, tokens=TOKENS)
    board = served.board()
    if cell.phase == "prefill":
        time.sleep(_PREFILL_S / 4)
    else:
        wait_until(lambda: sum(stream.got > 0 for stream in streams) >= STREAMS * 3 // 4, _SLOW_S)
    board.close()
    if cell.phase == "drain":
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    struck = time.monotonic()
    _strike(cell, victim)
    thaw = Thread(target=_thaw, args=(cell, victim, struck))
    thaw.start()  # of its own: a question to a frozen server takes seconds
    probe = _Probe(served, struck)
    length = 0.0 if cell.fault == "kill" else float(cell.fault.split()[1])
    end = struck + NEVER_S
    while time.monotonic() < end:
        over = all(stream.outcome for stream in streams)
        probe.look()
        settled = cell.phase == "drain" or cell.process == "gemma4 serve" or probe.recovered
        calm = time.monotonic() > struck + length + 3 and probe.unready is None
        if over and not thaw.is_alive() and (settled or calm):
            break
        time.sleep(_POLL_S)
    thaw.join()
    _outcomes(streams, struck, result)
    result.unready, result.recovered = probe.unready, probe.recovered


class _Probe:
    """Is it ready, and does a new request get its answer?"""

    def __init__(self, served: Served, struck: float) -> None:
        self._served = served
        self._struck = struck
        self.unready: float | None = None
        self.recovered: float | None = None

    def look(self) -> None:
        if self.recovered is not None:
            return
        since = time.monotonic() - self._struck
        if self.unready is None:
            if not self._served.ready():
                self.unready = since
        elif self._served.ready() and self._answers():
            self.recovered = time.monotonic() - self._struck

    def _answers(self) -> bool:
        with Client(f"127.0.0.1:{self._served.grpc}", retry=None, breaker=None) as client:
            try:
                return bool(client.chat("x", max_tokens=1, timeout=10).result().ids)
            except Gemma4Error:
                return False


def _outcomes(streams: list[Watched], struck: float, result: Result) -> None:
    for stream in streams:
        if not stream.wait(max(0.1, struck + NEVER_S - time.monotonic())):
            result.outcomes["never"] += 1
            continue
        kind = stream.outcome.split(":")[0]
        result.outcomes[kind] += 1
        if kind != "whole":
            result.told = max(result.told or 0.0, stream.ended - struck)
            result.log.append(f"{stream.protocol}: {stream.outcome[:300]}")


def _during_start(cell: Cell, engine: Path, run_dir: Path, result: Result) -> None:
    """Strike as soon as the process is there; then the server starts, or says that it cannot."""
    served = Starting(engine, run_dir)
    root = served.process.pid
    wait_until(lambda: find(root, cell.process) is not None, _SLOW_S)
    victim = find(root, cell.process)
    assert victim is not None
    struck = time.monotonic()
    _strike(cell, victim)
    thaw = Thread(target=_thaw, args=(cell, victim, struck))
    thaw.start()
    with suppress(AssertionError):
        wait_until(
            lambda: "Ctrl-C stops" in served.text or served.process.poll() is not None, NEVER_S
        )
        result.recovered = time.monotonic() - struck
    ready = "Ctrl-C stops" in served.text
    result.outcomes["ready" if ready else "refused to start" if result.recovered else "never"] += 1
    thaw.join()
    if not ready:
        result.log += [line for line in served.output if "error" in line.lower()][-3:]
    _end(served, result)


class Starting(Served):
    """Returns at once."""

    def wait_for(self, text: str, *, times: int = 1) -> None:
        pass

    def banner_port(self, label: str) -> int:
        return 0


def _end(served: Served, result: Result) -> None:
    """Stop it, and see what is left."""
    result.known += pids_below(served.process.pid)
    with suppress(Exception):
        result.exit_status = served.stop()
    if served.process.poll() is None:
        result.left.append("gemma4 serve")
        served.process.kill()
    with suppress(AssertionError):
        wait_until(lambda: not any(map(runs, result.known)), 5)
    result.left += [f"{name_of(pid)} {pid}" for pid in result.known if runs(pid)]
    regions = f"{namespace()}{served.process.pid}_*"
    result.left += [path.name for path in Path("/dev/shm").glob(regions)]
    kill_each(filter(runs, result.known))
    result.log += [line.strip() for line in served.output if "Traceback" in line]
