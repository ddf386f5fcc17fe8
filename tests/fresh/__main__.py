"""``make test-fresh``: the README's commands on machines that have nothing. See README.md here."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

from container import Container, Done, base_image, free_ports, podman_settings

ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = "/home/user/my größe/gemma4"
AT_ONCE_S = 3.0
"""`make` says what lacks in its first second; a busy machine gets more."""
_TIMED = """start=$(date +%s%N)
make serve; status=$?
echo "took $((($(date +%s%N) - start) / 1000000)) ms"
exit $status
"""
READY_S, STOP_S, CONTAINER_S = 900, 120, 3 * 3600


class Base:
    """One bare machine. ``passed`` and ``failed`` count its checks."""

    def __init__(self, name: str) -> None:
        self.name, self.passed, self.failed = name, 0, 0
        started = time.monotonic()
        image = base_image(name)
        self.say(f"base image {image}, {time.monotonic() - started:.0f} s")
        self.ports = dict(
            zip(("HTTP_PORT", "GRPC_PORT", "METRICS_PORT"), free_ports(3), strict=True)
        )
        self.container = Container(image, self.ports, timeout=CONTAINER_S)

    def say(self, text: str) -> None:
        print(f"{self.name}: {text}", flush=True)

    def check(self, what: str, right: bool, done: Done | None = None) -> bool:
        self.passed, self.failed = self.passed + right, self.failed + (not right)
        self.say(f"{'ok    ' if right else 'FAILED'} {what}")
        if not right and done is not None:
            print(f"(exit status {done.status}, {done.seconds:.1f} s)\n{done.text[-4000:]}")
        return right

    def root(self, script: str) -> Done:
        done = self.container.run(script)
        if done.status != 0:
            raise RuntimeError(f"{script}: exit status {done.status}\n{done.text[-4000:]}")
        return done

    def user(self, script: str, *, timeout: float = 600) -> Done:
        return self.container.run(script, user="user", cwd=CHECKOUT, timeout=timeout)

    def run(self, *, tests: str | None) -> None:
        self._copy_checkout()
        self._nothing_is_installed()
        if not self._serve_and_chat():
            return
        self._a_library_disappears()
        self._without_root()
        if tests is not None:
            self._tests("" if tests == "all" else tests)

    def _copy_checkout(self) -> None:
        self.root("apt-get update && apt-get install -y --no-install-recommends make passwd")
        self.root(f"useradd --create-home user && mkdir -p '{CHECKOUT}'")
        files = subprocess.check_output(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT
        )
        existing = [f for f in files.split(b"\0") if f and (ROOT / f.decode()).exists()]
        tar = subprocess.run(
            ["tar", "-c", "--null", "--files-from=-"], cwd=ROOT, input=b"\0".join(existing),
            stdout=subprocess.PIPE, check=True,
        ).stdout  # fmt: skip
        subprocess.run(
            self.container.command("tar -x && chown -R user /home/user", cwd=CHECKOUT),
            input=tar, check=True,
        )  # fmt: skip
        self.before = self.container.megabytes()

    def _nothing_is_installed(self) -> None:
        """Without Python, with Python alone, and again with what was installed as it said."""
        self._stopped_at_once("no Python", self.user(_TIMED))
        self.root("apt-get install -y --no-install-recommends python3")
        for turn in range(3):
            what = "Python alone" if turn == 0 else "what lacked then"
            line = self._stopped_at_once(what, self.user(_TIMED))
            if not line:
                return
            started = time.monotonic()
            self.root(
                line.replace("sudo ", "").replace(
                    "install -y", "install -y --no-install-recommends"
                )
            )
            self.say(f"  {line}: {time.monotonic() - started:.0f} s")
            if self.user("sh install/check.sh python3 python3.12 python3.11").status == 0:
                break
        size = self.container.megabytes()
        self.say(f"  Python and what lacked: {size - self.before:.0f} MB")
        self.before = size

    def _stopped_at_once(self, what: str, done: Done) -> str:
        """The line to install what lacks; "" when there is none."""
        line = re.search(r"^  ((?:sudo )?apt-get .*)$", done.text, re.M)
        nothing_made = self.user("test ! -e .venv").status == 0
        seconds = int(re.search(r"^took (\d+) ms$", done.text, re.M)[1]) / 1000
        right = done.status != 0 and seconds < AT_ONCE_S and nothing_made and line is not None
        self.check(f"{what}: make stops after {seconds:.1f} s with the line to run", right, done)
        return line[1] if line else ""

    def _serve_and_chat(self) -> bool:
        server = Running(self.container.command(
            'echo "group $$"; exec make serve', user="user", cwd=CHECKOUT))  # fmt: skip
        started = time.monotonic()
        ready = server.wait_for("Ctrl-C stops", READY_S)
        if not self.check(f"make serve: ready after {time.monotonic() - started:.0f} s", ready,
                          server.done()):  # fmt: skip
            return False
        done = self.user(
            '.venv/bin/gemma4 chat --once "What is the capital of France?"', timeout=60
        )
        self.check(
            f"the second command answers {done.text.strip()!r} "
            f"{time.monotonic() - started:.0f} s after the first was begun",
            done.status == 0 and "Paris" in done.text, done,
        )  # fmt: skip
        size = self.container.megabytes()
        self.say(f"  checkout's .venv and engine: {size - self.before:.0f} MB")
        self.root(f"kill -INT -{server.group}")
        ended = server.wait(STOP_S)
        self.check(
            "Ctrl-C: answers finish, and it ends", ended and "stopped" in server.text, server.done()
        )
        self.check(
            "no process is left", self.user("! grep -sl tritonserver /proc/[0-9]*/comm").status == 0
        )
        return True

    def _a_library_disappears(self) -> None:
        """A start that fails says so at once, and what to install."""
        serve = ".venv/bin/gemma4 serve --engine engines/demo"
        build = ".venv/bin/gemma4 build demo/checkpoint --out engines/again --precision f32"
        for name, command in (("libgomp.so.1", build), ("libgomp.so.1", serve),
                              ("libpython3.11.so.1.0", serve)):  # fmt: skip
            # And the file that a link of this name leads to; ldconfig would make the link again.
            self.root(
                f"mkdir -p /hidden && mv /usr/lib/x86_64-linux-gnu/{name}* /hidden && ldconfig"
            )
            done = self.user(command, timeout=60)
            right = (
                done.status not in (0, 124) and f"{name}: cannot open shared object" in done.text
                and re.search(r"^  sudo apt-get .*lib(gomp1|python3\.\d+)", done.text, re.M)
                and "Traceback" not in done.text
            )  # fmt: skip
            self.check(f"without {name}: {command.split()[1]} fails after {done.seconds:.1f} s "
                       "with its name and the line to run", bool(right), done)  # fmt: skip
            self.root("mv /hidden/* /usr/lib/x86_64-linux-gnu/ && ldconfig")

    def _without_root(self) -> None:
        """The libraries from apt's packages, unpacked by the user."""
        recipe = re.search(
            r"^Without root.*?```sh\n(.*?)```", (ROOT / "docs/install.md").read_text(), re.M | re.S
        )[1]
        self.root("mkdir -p /hidden && cd /usr/lib/x86_64-linux-gnu "
                  "&& mv libgomp.so.1* libpython3.11.so.1.0* /hidden && ldconfig")  # fmt: skip
        server = Running(self.container.command(
            f'echo "group $$"; {recipe}', user="user", cwd=CHECKOUT))  # fmt: skip
        ready = server.wait_for("Ctrl-C stops", STOP_S)
        self.check("libraries unpacked without root: it starts", ready, server.done())
        if ready:
            self.root(f"kill -INT -{server.group}")
            server.wait(STOP_S)
        self.root("mv /hidden/* /usr/lib/x86_64-linux-gnu/ && ldconfig")

    def _tests(self, arguments: str) -> None:
        """The quick start's commands are among the tests, and use curl."""
        self.root("apt-get install -y --no-install-recommends curl")
        done = self.user(f"make test ARGS='{arguments}'", timeout=CONTAINER_S)
        closing = done.text.strip().splitlines()[-1]
        self.check(f"make test, {done.seconds / 60:.1f} min: {closing}", done.status == 0, done)


class Running:
    """A command that runs in a container. ``group`` is the process group to signal."""

    def __init__(self, command: list[str]) -> None:
        self.text, self.started = "", time.monotonic()
        self.process = subprocess.Popen(
            ["setsid", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.text += line.decode(errors="replace")

    @property
    def group(self) -> str:
        return re.search(r"^group (\d+)$", self.text, re.M)[1]

    def wait_for(self, words: str, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while words not in self.text and time.monotonic() < end:
            if self.process.poll() is not None:
                self._reader.join(5)
                break
            time.sleep(0.05)
        return words in self.text

    def wait(self, timeout: float) -> bool:
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(5)
        return True

    def done(self) -> Done:
        status = self.process.poll()
        return Done(-1 if status is None else status, self.text, time.monotonic() - self.started)


def main() -> int:
    """Exit status 0 when every check of every base passed. The last line says how many did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bases", nargs="+", help="bookworm, trixie, or an image of a registry")
    parser.add_argument(
        "--tests", metavar="WHICH", help="run `make test` in it too: all, or what ARGS shall be"
    )
    options = parser.parse_args()
    podman_settings()
    passed = failed = 0
    for name in options.bases:
        started = time.monotonic()
        base = Base(name)
        try:
            base.run(tests=options.tests)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            base.check(str(error), False)
        finally:
            base.container.close()
        base.say(f"{(time.monotonic() - started) / 60:.1f} min in all")
        passed, failed = passed + base.passed, failed + base.failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
