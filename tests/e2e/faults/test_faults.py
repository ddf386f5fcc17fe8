"""Processes that die or freeze, and logs that nobody reads: nothing hangs, and nothing says "ready"
that is not. The bounds allow for a slow machine; `make test-faults` measures all cells."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from gemma4_client import Client, Gemma4Error
from gemma4_runtime.processes.heartbeat import read_signs
from gemma4_runtime.processes.parent import LEFT_S
from gemma4_runtime.server.board import Field
from gemma4_serve.proc import runs
from gemma4_testing.faults.cell import Cell, Starting, fault_engine, find, run_cell
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.process_tree import kill_each, pids_below
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until

SOON_S = 10.0
"""What takes a second or two where the machine has nothing else to do."""
BACK_S = 60.0
STANDS_STILL_S = 3.0
"""A sign of life comes five times a second."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fault_engine(tmp_path_factory.mktemp("faults") / "engine")


@pytest.fixture(scope="module")
def often(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that may be lost again and again."""
    served = Served(
        engine,
        tmp_path_factory.mktemp("often") / "run",
        "--restarts",
        "100",
        "--restart-window",
        "1",
    )
    yield served
    served.stop()


def answers(served: Served) -> bool:
    with Client(f"127.0.0.1:{served.grpc}", retry=None, breaker=None) as client:
        try:
            return len(client.chat("x", max_tokens=3, timeout=20).result().ids) == 3
        except Gemma4Error:
            return False


PROCESSES = ["preprocessing", "postprocessing", "gemma4_tokenizer", "gemma4_unary", "engine",
             "tritonserver"]  # fmt: skip


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("process", PROCESSES)
def test_a_lost_process_is_told_and_replaced(often: Served, process: str, fault: str) -> None:
    wait_until(lambda: answers(often), BACK_S)
    victim = find(often.process.pid, process)
    before = often.text.count("Ctrl-C stops")
    with often.client() as client, ThreadPoolExecutor(4) as pool:
        streams = [client.chat("Count", max_tokens=3000, timeout=60) for _ in range(4)]
        ends = [pool.submit(lambda s=s: pytest.raises(Gemma4Error, s.result)) for s in streams]  # type: ignore[misc]
        wait_until(lambda: often.board()[Field.ACTIVE] == 4, SOON_S)
        assert victim is not None
        victim.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGSTOP)
        started = time.monotonic()
        for end in ends:
            end.result(SOON_S + started - time.monotonic() + 5)
    wait_until(lambda: often.text.count("Ctrl-C stops") > before, BACK_S)
    wait_until(lambda: answers(often), BACK_S)
    lost = [json.loads(line) for line in often.output if '"event": "server_lost"' in line][-1]
    assert lost["process"] == process and lost["pid"] == victim.pid
    assert ("SIGKILL" if fault == "kill" else "stopped for") in lost["cause"] or (
        fault == "freeze" and "no sign of life" in lost["cause"]
    )


@pytest.mark.parametrize("process", ["engine", "preprocessing", "postprocessing"])
def test_a_short_stall_costs_nothing(engine: Path, process: str) -> None:
    result = run_cell(Cell(process, "freeze 0.5", "decode"), engine)
    assert result.whole, result.log
    assert result.unready is None and result.exit_status == 0 and not result.left


def test_a_killed_supervisor_leaves_nothing(engine: Path) -> None:
    result = run_cell(Cell("gemma4 serve", "kill", "decode"), engine)
    assert "never" not in result.outcomes and "whole" not in result.outcomes, result.log
    assert result.told < SOON_S  # type: ignore[operator]
    assert result.left == []


def test_the_others_kill_one_that_cannot_see_it(engine: Path, tmp_path: Path) -> None:
    """The engine waits for Triton with Python's global lock; the others end within 0.3 s."""
    served = Served(engine, tmp_path / "run")
    stuck, triton = (find(served.process.pid, name) for name in ("engine", "tritonserver"))
    assert stuck is not None and triton is not None
    children = pids_below(served.process.pid)
    try:
        for pid in (served.process.pid, triton.pid):
            os.kill(pid, signal.SIGSTOP)
        wait_until(
            lambda: (
                time.monotonic() - (read_signs(served.run_dir, stuck.pid) or (0.0,))[0]
                > STANDS_STILL_S
            ),
            BACK_S,
        )
        kill_each((served.process.pid, triton.pid))
        wait_until(lambda: not any(map(runs, children)), SOON_S)
    finally:
        kill_each(filter(runs, children))


def test_the_last_process_ends_when_all_others_are_killed_at_once(
    engine: Path, tmp_path: Path
) -> None:
    """While it waits in shared memory with Python's global lock, as it does once a second for Triton
    to take a metric."""
    served = Served(engine, tmp_path / "run")
    last, triton = (find(served.process.pid, name) for name in ("engine", "tritonserver"))
    assert last is not None and triton is not None
    pidfd = os.pidfd_open(last.pid)
    others = [served.process.pid, *pids_below(served.process.pid)]
    others.remove(last.pid)

    def quiet_s() -> float:
        return time.monotonic() - (read_signs(served.run_dir, last.pid) or (0.0,))[0]

    try:
        for pid in (served.process.pid, triton.pid):
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: quiet_s() > STANDS_STILL_S, BACK_S)
        kill_each(others)
        assert not select.select([pidfd], [], [], STANDS_STILL_S)[0], "it was not stuck"
        assert select.select([pidfd], [], [], LEFT_S + SOON_S)[0]
    finally:
        kill_each(filter(runs, (*others, last.pid)))
        os.close(pidfd)


@pytest.mark.parametrize("process", ["engine", "preprocessing"])
def test_a_process_that_dies_while_starting_ends_the_start(engine: Path, process: str) -> None:
    result = run_cell(Cell(process, "kill", "start"), engine)
    assert result.outcomes == {"refused to start": 1}
    assert result.recovered < 30 and result.exit_status == 1 and not result.left  # type: ignore[operator]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0),
                           (signal.SIGQUIT, 131)],
)  # fmt: skip
def test_a_start_can_be_stopped(engine: Path, tmp_path: Path, number: int, status: int) -> None:
    served = Starting(engine, tmp_path / "run")
    wait_until(lambda: find(served.process.pid, "engine") is not None, BACK_S)
    known = pids_below(served.process.pid)
    served.process.send_signal(number)
    assert served.process.wait(SOON_S) == status
    assert not any(map(runs, known))


def test_a_run_folder_has_one_server(often: Served, engine: Path) -> None:
    wait_until(lambda: answers(often), BACK_S)
    ran = subprocess.run(
        [GEMMA4, "serve", "--engine", engine, "--run-dir", often.run_dir, "--http-port", "0",
         "--grpc-port", "0", "--metrics-port", "0"], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1 and f"process {often.process.pid} serves with it" in ran.stderr
    assert answers(often)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_drain_is_not_ready_and_cuts_nothing(engine: Path, tmp_path: Path, number: int) -> None:
    """Streams of the engine, and two calls of the ensemble, which keep the endpoints open."""
    served = Served(engine, tmp_path / "run")
    body = {"messages": json.dumps(user("x")), "max_tokens": 150}

    def plain(model: str) -> dict[str, Any]:
        tensors = [{"name": name, "datatype": kind, "shape": [1, 1], "data": [body[name]]}
                   for name, kind in (("messages", "BYTES"), ("max_tokens", "INT32"))]  # fmt: skip
        url = f"http://127.0.0.1:{served.http}/v2/models/{model}/"
        sent = body if model == "gemma4" else {"inputs": tensors}
        verb = "generate" if model == "gemma4" else "infer"
        with urllib.request.urlopen(url + verb, json.dumps(sent).encode(), timeout=60) as reply:
            found: dict[str, Any] = json.load(reply)
            return found

    with served.client() as client, ThreadPoolExecutor(4) as pool:
        streams = [pool.submit(client.chat("x", max_tokens=900).result) for _ in range(2)]
        whole, unary = pool.submit(plain, "gemma4"), pool.submit(plain, "gemma4_unary")
        wait_until(lambda: served.board()[Field.ACTIVE] == 4, SOON_S)
        assert served.ready()
        served.process.send_signal(number)
        wait_until(lambda: served.board()[Field.DRAINING] == 1, SOON_S)
        for at_first in (True, False):
            with pytest.raises(Gemma4Error) as refused:
                client.chat("x", max_tokens=1).result()
            assert refused.value.status == "UNAVAILABLE"
            if at_first:
                assert whole.result(60)["completion_tokens"] == 150
                counts = {o["name"]: o["data"] for o in unary.result(60)["outputs"]}
                assert counts["completion_tokens"] == [150]
                wait_until(lambda: not served.ready(), SOON_S)
        assert not any(each.done() for each in streams)
        assert [each.result(60).completion_tokens for each in streams] == [900, 900]
    assert served.process.wait(SOON_S) == 0
    assert json.loads(served.output[-1])["all_answers_finished"] is True


def test_a_stop_that_cuts_says_so(engine: Path, tmp_path: Path) -> None:
    served = Served(engine, tmp_path / "run", "--grace", "0.5")
    with served.client() as client:
        stream = client.chat("x", max_tokens=3000)
        end = Thread(target=lambda: pytest.raises(Gemma4Error, stream.result))
        end.start()
        wait_until(lambda: served.board()[Field.ACTIVE] == 1, SOON_S)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(SOON_S) == 3
        end.join(5)
        assert not end.is_alive()
    assert json.loads(served.output[-1])["all_answers_finished"] is False


def test_losses_that_come_too_often_end_it(engine: Path, tmp_path: Path) -> None:
    """Starts in which Triton aborts count too: 2.51 does in one of some hundred."""
    served = Served(engine, tmp_path / "run", "--restarts", "1")
    killed = 0

    def ended() -> bool:
        return served.process.poll() is not None

    while not ended():
        find(served.process.pid, "preprocessing").kill()  # type: ignore[union-attr]
        killed += 1
        wait_until(lambda n=killed: ended() or served.text.count("Ctrl-C stops") > n, 2 * BACK_S)  # type: ignore[misc]
    assert served.process.wait() == 1
    wait_until(lambda: '"event": "given_up"' in served.text, 5)
    assert killed + served.text.count('"event": "start_crashed"') == 2


class Unread(Served):
    """Its output goes where nobody reads it: ``how`` says how."""

    def __init__(self, engine: Path, run_dir: Path, how: str) -> None:
        self._how = how
        super().__init__(engine, run_dir)

    def _read(self) -> None:
        for line in self.stdout:
            self.output.append(line)
            if "Ctrl-C stops" in line:
                if self._how == "closed":
                    self.stdout.close()
                return  # frozen: the pipe fills up


@pytest.mark.parametrize("how", ["closed", "frozen", "supervisor stopped"])
def test_a_log_that_nobody_reads_stops_nothing(engine: Path, tmp_path: Path, how: str) -> None:
    served = Unread(engine, tmp_path / "run", how)
    if how == "supervisor stopped":
        served.process.send_signal(signal.SIGSTOP)
    long_id = "i" * 1000
    with served.client() as client:
        for _ in range(8):
            streams = [
                client.chat("x", max_tokens=1, request_id=f"{long_id}{n}") for n in range(16)
            ]
            assert [len(stream.result().ids) for stream in streams] == [1] * 16
    assert served.ready()
    os.kill(served.process.pid, signal.SIGCONT)
    if how == "frozen":
        assert served.process.stdout is not None
        Thread(target=served.process.stdout.read, daemon=True).start()
    assert served.stop() == 0


def test_a_full_log_disk_stops_nothing(engine: Path, tmp_path: Path) -> None:
    ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    out = tmp_path / "out"
    with out.open("wb") as stdout, open("/dev/full", "wb") as full:  # noqa: PTH123
        process = subprocess.Popen(
            [GEMMA4, "serve", "--engine", engine, *ports], stdout=stdout, stderr=full
        )
        try:
            wait_until(lambda: "Ctrl-C stops" in out.read_text(), BACK_S * 2)
            (grpc,) = [
                line.split(":")[-1] for line in out.read_text().splitlines() if "gRPC" in line
            ]
            with Client(f"127.0.0.1:{grpc}") as client:
                for _ in range(5):
                    assert len(client.chat("x", max_tokens=3).result().ids) == 3
        finally:
            process.terminate()
            assert process.wait(30) == 0
