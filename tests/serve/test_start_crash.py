"""A start in which Triton itself crashes is tried again; one that cannot succeed is not."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime import settings as names
from gemma4_runtime.manifest import Manifest, read_manifest
from gemma4_runtime.restarts import read_restarts
from gemma4_serve import restarts, supervisor
from gemma4_serve.errors import ServeError
from gemma4_serve.install import TritonInstall
from gemma4_serve.links import Links
from gemma4_serve.logs import LogPump
from gemma4_serve.ports import Ports
from gemma4_serve.process import ServerOptions
from gemma4_serve.restarts import RestartPolicy
from gemma4_serve.supervisor import EXIT_QUIT, Supervisor
from gemma4_testing.engine_folders.trtllm_folder import make_folder

ABORTS = """
print("terminate called after throwing an instance of 'an_exception'", flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""
REFUSES = """print("E1124 13:01:19.991243 3005 x.cc:1] \\"failed to load 'engine': why\\"", flush=True)
"""
LOSES_A_MODEL = """
zombie = subprocess.Popen([STUB, "0"])
time.sleep(1.5)
"""
STARTS = "os.kill(os.getppid(), signal.SIGQUIT); time.sleep(60)"
"""A good start that this test's supervisor is told to end."""


@dataclass
class Fake:
    """A program in Triton's place. ``scripts``: what each start does; the last one goes on."""

    folder: Path
    manifest: Manifest
    patch: pytest.MonkeyPatch
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def run(self, *scripts: str, restarts: RestartPolicy | None = None) -> int:
        for number, script in enumerate(scripts):
            (self.folder / f"{number}.py").write_text(script)
        binary = self.folder / "tritonserver"
        binary.write_text(
            f"""#!{sys.executable}
import os, signal, subprocess, sys, time
from pathlib import Path
folder = Path({str(self.folder)!r})
STUB = str(folder / "triton_python_x")
starts = folder / "starts"
count = len(starts.read_text().splitlines()) if starts.exists() else 0
with starts.open("a") as file:
    print(os.environ.get({names.RESTARTS!r}, ""), file=file)
exec((folder / f"{{min(count, {len(scripts) - 1})}}.py").read_text())
"""
        )
        binary.chmod(0o755)
        shutil.copy("/bin/sleep", self.folder / "triton_python_x")
        install = TritonInstall(binary, self.folder, {}, embedded=False, links=Links(self.folder))
        self.patch.setattr(supervisor, "find_triton", lambda _: install)
        options = ServerOptions(
            engine=self.folder, repository=self.folder, run_dir=self.folder, host="127.0.0.1",
            ports=Ports(1, 2, 3),
        )  # fmt: skip
        return Supervisor(
            options, self.manifest, LogPump("json", verbose=False, write=lambda line: None),
            start_timeout=60, restarts=restarts or RestartPolicy(3, window=300),
            say=lambda text: None,
        ).run()  # fmt: skip

    @property
    def counts(self) -> list[int]:
        """Restarts with the reason ``start_failed`` that each start was told of."""
        told = (self.folder / "starts").read_text().splitlines()
        return [read_restarts(line)["start_failed"] for line in told]

    @property
    def crashes(self) -> list[str]:
        return [fields["cause"] for name, fields in self.events if name == "start_crashed"]


@pytest.fixture
def fake(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    manifest = read_manifest(make_folder(checkpoint, tmp_path / "engine"))
    made = Fake(tmp_path / "run", manifest, monkeypatch)
    made.folder.mkdir()
    monkeypatch.setattr(restarts, "_FIRST_S", 0.01)
    monkeypatch.setattr(
        supervisor, "log_event", lambda name, **fields: made.events.append((name, fields))
    )
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_start_is_tried_again(fake: Fake, times: int) -> None:
    assert fake.run(*[ABORTS] * times, STARTS) == EXIT_QUIT
    assert fake.counts == list(range(times + 1)), "each start is told of the crashes before it"
    says = (
        "the server was killed by signal 6 (SIGABRT) while it started:\n"
        "terminate called after throwing an instance of 'an_exception'"
    )
    assert fake.crashes == [says] * times


def test_not_for_ever(fake: Fake) -> None:
    with pytest.raises(ServeError, match=r"signal 6 .SIGABRT.*\nterminate called.*'an_exception'$"):
        fake.run(ABORTS)
    assert fake.counts == [0, 1, 2] and len(fake.crashes) == 2


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sys.exit(1)", "the server exited with status 1 while it started"),
        (f"os.kill(os.getpid(), signal.{signal.SIGKILL.name})", "signal 9 .SIGKILL."),
        (f"os.kill(os.getpid(), signal.{signal.SIGBUS.name})", "signal 7 .SIGBUS."),
        (REFUSES + ABORTS, "(?s)signal 6 .*failed to load 'engine': why"),
        (REFUSES + "sys.exit(1)", "(?s)status 1.*failed to load 'engine': why"),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(fake: Fake, script: str, says: str) -> None:
    with pytest.raises(ServeError, match=says):
        fake.run(script, STARTS)
    assert fake.counts == [0] and not fake.events


def test_an_abort_is_tried_again_also_after_a_model_has_ended(fake: Fake) -> None:
    """Its models end with a server that aborts, and may be seen to do so first."""
    assert fake.run(LOSES_A_MODEL + ABORTS, STARTS) == EXIT_QUIT
    assert fake.counts == [0, 1] and len(fake.crashes) == 1


@pytest.mark.parametrize(("most", "starts"), [(0, 1), (1, 2)])
def test_no_more_than_restarts_allow(fake: Fake, most: int, starts: int) -> None:
    with pytest.raises(ServeError, match="terminate called"):
        fake.run(ABORTS, restarts=RestartPolicy(most, window=300))
    assert len(fake.counts) == starts


def test_last_words_are_of_the_last_start(fake: Fake) -> None:
    with pytest.raises(ServeError) as ended:
        fake.run(ABORTS, "print('no such option', flush=True); sys.exit(1)")
    assert str(ended.value) == "the server exited with status 1 while it started:\nno such option"
    assert len(fake.crashes) == 1
