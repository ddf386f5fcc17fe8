"""Real `gemma4` commands where the machine refuses something: one clear line, the right code.

Each row runs in a mount namespace of its own (as root, or as root of a user namespace), in which
``small`` is a full file system of 64 KiB and ``fixed`` cannot be written.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest

GEMMA4 = Path(sys.executable).with_name("gemma4")
TYPED = quote(str(GEMMA4))
PLAIN = "C" if sys.prefix.isascii() else "C.UTF-8"
"""The plainest locale in which Python finds this environment; see docs/install.md."""
DEMO = Path(__file__).parents[2] / "demo" / "checkpoint"
LIMIT_S = 240
SERVE = "serve --http-port 0 --grpc-port 0 --metrics-port 0 --engine"

PRELUDE = """
set -e; cd {work}; umask 022
mount -t tmpfs -o size=64k tmpfs small; dd if=/dev/zero of=small/full status=none 2>/dev/null || :
mount -t tmpfs -o ro tmpfs fixed
"""

SHM = "mount -t tmpfs -o {} tmpfs /dev/shm;"
LONG = "x" * 100
OUTPUT = "output: No space left"

REFUSED: dict[str, tuple[str, str, int, str]] = {
    # name: (before it, the command, exit code, what it must say)
    "serve: full run dir": ("", f"{SERVE} engine --run-dir small/run", 1, r"small/run: .*space"),
    "serve: full TMPDIR": (
        "mount -t tmpfs -o size=1m tmpfs tight; export TMPDIR=$PWD/tight;", f"{SERVE} engine", 1,
        "tight/.* MiB free; choose a folder with 16 MiB",
    ),
    "serve: read-only run dir": ("", f"{SERVE} engine --run-dir fixed/r", 1, "fixed/r: Read-only"),
    "serve: run dir is a file": ("", f"{SERVE} engine --run-dir file", 1, "file: File exists"),
    "serve: long run dir": ("", f"{SERVE} engine --run-dir {LONG}", 1, r"bytes, at most \d+ fit"),
    "serve: open files": ("ulimit -n 64;", f"{SERVE} engine", 1, "needs 256 open files.*is 64"),
    "serve: address space": ("ulimit -v 3000000;", f"{SERVE} engine", 1, "ulimit -v unlimited"),
    "serve: file size": ("ulimit -f 1000;", f"{SERVE} engine", 1, "ulimit -f unlimited"),
    "serve: tiny shm": (SHM.format("size=8m"), f"{SERVE} engine", 1, "8 MiB free.* 32 MiB.*--shm"),
    "serve: full shm": (
        SHM.format("size=40m") + "dd if=/dev/zero of=/dev/shm/x bs=1M count=36 status=none;",
        f"{SERVE} engine", 1, "4 MiB free",
    ),
    "serve: read-only shm": (SHM.format("ro"), f"{SERVE} engine", 1, "/dev/shm cannot be used"),
    "serve: no engine": ("", f"{SERVE} nothing", 1, "no such folder.*gemma4 build"),
    "serve: manifest is a folder": ("", f"{SERVE} folder", 1, "not a regular file.*build again"),
    "serve: manifest is a loop": ("", f"{SERVE} loop", 1, "symbolic links.*build again"),
    "serve: manifest is a pipe": ("", f"{SERVE} pipe", 1, "not a regular file.*build again"),
    "serve: deep manifest": ("", f"{SERVE} deep", 1, "nested too deep.*build again"),
    "doctor: deep manifest": ("", "doctor --engine deep", 1, "nested too deep"),
    "build: over a deep manifest": (
        "", "build checkpoint --out deep --runtime synthetic", 2, "nested too deep.*--force",
    ),
    "gateway: open files": ("ulimit -n 64;", "gateway --port 0", 2, "1088 open.*--max-running"),
    "gateway: a port in use": ("", "gateway --port {busy}", 2, "in use; choose another port"),
    "gateway: unwritable keys": (
        "", "gateway new-key --name a --api-keys-file fixed/keys", 2, "fixed/keys: Read-only",
    ),
    "load: open files": (
        "ulimit -n 64;", "load --url http://127.0.0.1:1 --concurrency 99", 2, "163 open.*lower",
    ),
    "load: no server": ("", "load --url 127.0.0.1:1 --out r", 1, "127.0.0.1:1"),
    "build: read-only folder": ("", "build checkpoint --out fixed/e", 2, "fixed/e: .*Read-only"),
    "build: full disk": ("", "build checkpoint --out small/e --skip-verify", 1, "space"),
    "build: file size": (
        "ulimit -f 100;", "build checkpoint --out e1 --skip-verify", 1, "File too large",
    ),
    "build: deep header": ("", "build bad --out e3", 2, "bad header .*nested too deep"),
    "build: output cannot be written": (
        "", "build checkpoint --out e4 --skip-verify > /dev/full", 1, OUTPUT,
    ),
    "doctor: read-only report": ("", "doctor --report fixed/r", 2, "--report fixed/r: Read-only"),
    "doctor: output cannot be written": ("", "doctor > /dev/full", 1, OUTPUT),
    "chat: no server": ("", "chat --url 127.0.0.1:1 --once hello", 1, "no server at 127.0.0.1:1"),
    "chat: closed stdin": ("", "chat --url 127.0.0.1:1 <&-", 2, "question is empty"),
    "help cannot be written": ("", "--help > /dev/full", 1, OUTPUT),
}  # fmt: skip

FINE = {
    "help with every stream closed": ("--help <&- >&- 2>&-", 0),
    "doctor with closed output": ("doctor --json >&-", 0),
    "doctor in another encoding": ("doctor", 0),
    "build with closed stderr": ("build checkpoint --out f1 --skip-verify 2>&-", 0),
    "build with closed stdin and stdout": ("build checkpoint --out f2 --skip-verify <&- >&-", 0),
    "build without TMPDIR's folder": ("build checkpoint --out f3", 0),
}

BROKEN = {"doctor": "doctor --json", "help": "--help", "command help": "load --help",
          "build": "build checkpoint --out p1 --skip-verify --json"}  # fmt: skip


def unshare() -> list[str]:
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    write_checkpoint(root / "checkpoint", PRESETS["tiny"], tokenizer=DEMO, shard_bytes=1 << 30)
    request = BuildRequest(checkpoint=DEMO, out=root / "engine", runtime="synthetic")
    build_engine(request, SilentReporter())
    for name in ("small", "tight", "fixed", "folder", "loop", "pipe", "deep"):
        (root / name).mkdir()
    (root / "file").write_text("x")
    (root / "folder" / "engine.json").mkdir()
    (root / "loop" / "engine.json").symlink_to("engine.json")
    os.mkfifo(root / "pipe" / "engine.json")
    os.mkfifo(root / "unread")  # nobody reads this report, so that a quick machine waits too
    (root / "deep" / "engine.json").write_text("[" * 200_000)
    shutil.copytree(root / "checkpoint", root / "bad")
    deep = b"[" * 200_000
    (root / "bad" / "model.safetensors").write_bytes(len(deep).to_bytes(8, "little") + deep)
    return root


def run(work: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In a process group, of which nothing is left afterward."""
    command = [*unshare(), "bash", "-c", PRELUDE.format(work=work) + script]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env=os.environ | env, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str, work: Path) -> None:
    before, command, code, words = REFUSED[name]
    with socket.create_server(("127.0.0.1", 0)) as busy:
        command = command.replace("{busy}", str(busy.getsockname()[1]))
        done = run(work, f"{before} exec {TYPED} {command}")
    said = done.stderr if code != 1 or not command.startswith("doctor --engine") else done.stdout
    text = " ".join((said + done.stderr).split())
    assert done.returncode == code, (done.stdout, done.stderr)
    assert re.search(words, text), text
    assert "Traceback" not in done.stdout + done.stderr
    errors = [n for n in done.stderr.splitlines() if n.startswith(("gemma4: ", "error: "))]
    assert len(errors) == (0 if command.startswith("doctor --engine") else 1), done.stderr
    assert not (work / "e1").exists() and not list(work.glob(".*.building"))


@pytest.mark.parametrize("name", FINE)
def test_odd_but_fine(name: str, work: Path) -> None:
    command, code = FINE[name]
    odd = {"TMPDIR": "/nonexistent", "TERM": "dumb", "LC_ALL": PLAIN, "PYTHONIOENCODING": "latin-1"}
    done = run(work, f"unset HOME; exec {TYPED} {command}", **odd)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_a_reader_that_has_gone(name: str, work: Path) -> None:
    """141, as of a program that SIGPIPE ends."""
    script = f"{TYPED} {BROKEN[name]} | exec true; exit ${{PIPESTATUS[0]}}"
    done = run(work, "set +e; " + script)
    assert (done.returncode, done.stderr.count("Traceback")) == (141, 0), done.stderr
    assert "Broken" not in done.stderr and "Exception" not in done.stderr


INTERRUPTED = {
    "build": ("build checkpoint --out i1", "Verifying"),
    "doctor": ("doctor --report unread", ""),
    "load": ("load --url {silent} --out i2 --force", ""),
    "chat": ("chat --url {silent} --once hello", ""),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_ctrl_c(name: str, work: Path) -> None:
    """130, and no traceback, wherever it comes."""
    command, until = INTERRUPTED[name]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = command.replace("{silent}", f"127.0.0.1:{silent.getsockname()[1]}")
        with subprocess.Popen(
            [GEMMA4, *command.split()], cwd=work, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stderr is not None
            lines = []
            if until:
                for line in process.stderr:
                    lines.append(line)
                    if until in line:
                        break
            elif "{silent}" in INTERRUPTED[name][0]:
                silent.settimeout(LIMIT_S)
                silent.accept()[0].detach()  # left open, and nothing is said
            else:
                time.sleep(1.2)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, ("".join(lines), out, err)
    assert "Traceback" not in err


LIVE = """
cp -r engine fixed2/; mount --bind fixed2 fixed2; mount -o remount,ro,bind fixed2
mkdir -p {long}; unset HOME no_proxy NO_PROXY; ulimit -Sn 64
export http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1
LC_ALL={plain} TERM=dumb TMPDIR=$PWD/{long} {gemma4} serve --engine fixed2/engine \
  --http-port {http} --grpc-port {grpc} --metrics-port {metrics} <&- >&- 2>&- &
server=$!
until curl --noproxy '*' -sf http://127.0.0.1:{http}/v2/models/gemma4/ready; do kill -0 $server; sleep 0.1; done
grep "open files" /proc/$server/limits
set +e
chat() {{ {gemma4} chat --url 127.0.0.1:{grpc} --once hello --max-tokens 20 "$@"; }}
load() {{ {gemma4} load --url 127.0.0.1:{grpc} --duration 1 --warmup 0 --concurrency 2 "$@"; }}
chat > /dev/null; echo "chat $?"
chat > /dev/full; echo "chat full $?"
chat | exec true; echo "chat pipe ${{PIPESTATUS[0]}}"
load --out fixed/r; echo "load fixed $?"
load --out small/r; echo "load small $?"
load --out r1 --json > /dev/full; echo "load full $?"
load --out r2 --json | exec true; echo "load pipe ${{PIPESTATUS[0]}}"
kill $server; wait $server; echo "serve $?"; ls -A {long}
"""


def test_a_server_that_starts_in_an_odd_place_serves(work: Path) -> None:
    """A low soft limit, every stream closed, no HOME, a read-only engine, a TMPDIR too long for a
    socket, a proxy that is not there; and the commands that need a server."""
    ports = {}
    with ExitStack() as stack:
        for name in ("http", "grpc", "metrics"):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports[name] = listener.getsockname()[1]
    (work / "fixed2").mkdir()
    done = run(work, LIVE.format(gemma4=TYPED, plain=PLAIN, long="y" * 100, **ports))
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    codes = dict(re.findall(r"^((?:chat|load|serve)[a-z ]*) (\d+)$", done.stdout, re.MULTILINE))
    assert codes.pop("chat pipe") in ("0", "141"), said  # a short answer fits into the pipe
    assert codes == {
        "chat": "0", "chat full": "1", "load fixed": "2", "load small": "2", "load full": "1",
        "load pipe": "141", "serve": "0",
    }, said  # fmt: skip
    assert re.search(r"open files +(?!64 )\d+", done.stdout)
    assert (
        "fixed/r: Read-only file system; choose another --out" in done.stderr
        and OUTPUT in done.stderr
    )
    assert re.search("small/r: No space left.*another --out", done.stderr)
    assert done.stdout.rstrip().endswith("serve 0"), "something was left in TMPDIR"


ODD_PLACES = {
    # name: (before the server, its --host, where clients find it)
    "IPv6 loopback": ("", "::1", "[::1]"),
    "every address of IPv6": ("", ":: --allow-remote-embedded-triton", "[::1]"),
    "a name": ("", "localhost", "localhost"),
    "a HOME that is not there": ("export HOME=/nonexistent;", "127.0.0.1", "127.0.0.1"),
    "a HOME that cannot be written": ("export HOME=$PWD/fixed;", "127.0.0.1", "127.0.0.1"),
    "a folder that cannot be written": ("cd fixed;", "127.0.0.1", "127.0.0.1"),
    "a dumb, narrow terminal": (
        "export TERM= COLUMNS=20 LINES=5 PYTHONIOENCODING=ascii;", "127.0.0.1", "127.0.0.1",
    ),
    "files for their owner only": ("umask 077;", "127.0.0.1", "127.0.0.1"),
}  # fmt: skip
ODD = """
engine=$PWD/engine; {before}
LC_ALL={plain} {gemma4} serve --engine $engine --host {host} \
  --http-port {http} --grpc-port {grpc} --metrics-port {metrics} > {log} 2>&1 &
server=$!
until curl --noproxy '*' -gsf http://{at}:{http}/v2/models/gemma4/ready
do kill -0 $server; sleep 0.2; done
set +e
for url in {at}:{grpc} http://{at}:{http}; do
  LC_ALL={plain} {gemma4} chat --url "$url" --once hello --max-tokens 20; echo "chat $?"
done
kill $server; wait $server; echo "serve $?"
"""


@pytest.mark.parametrize("name", ODD_PLACES)
def test_serve_and_chat_in_odd_places(name: str, work: Path, tmp_path: Path) -> None:
    before, host, at = ODD_PLACES[name]
    ports = {}
    with ExitStack() as stack:
        for port in ("http", "grpc", "metrics"):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports[port] = listener.getsockname()[1]
    log = tmp_path / "log"
    script = ODD.format(
        before=before, host=host, at=at, log=log, gemma4=TYPED, plain=PLAIN, **ports
    )
    done = run(work, script)
    said = f"{done.stdout}{done.stderr}{log.read_text()}"
    assert re.findall(r"^(?:chat|serve) \d+$", done.stdout, re.MULTILINE) == [
        "chat 0", "chat 0", "serve 0",
    ], said  # fmt: skip
    assert "Traceback" not in said
