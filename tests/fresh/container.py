"""Containers by podman, and the bare base images they start from. Standard library only."""

from __future__ import annotations

import ast
import atexit
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Container", "Done", "base_image", "build_volumes", "forget_names", "free_ports",
    "podman_settings",
]  # fmt: skip

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_CERTIFICATES_THERE = "/etc/certificates-of-the-host.crt"
"""Not where the package ca-certificates writes."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_OLD_CGROUPS = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
"""For a kernel with cgroups v1, which crun does not take, and a root that may not raise limits."""

_NETAVARK = """[network]
network_backend = "netavark"
"""


def podman_settings() -> None:
    """Make podman work on this machine where its defaults do not."""
    if "CONTAINERS_CONF" in os.environ or Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return
    if os.geteuid() == 0 and shutil.which("runc"):
        file = Path(tempfile.mkdtemp(prefix="gemma4-fresh-")) / "containers.conf"
        # CNI, the older one, has no names of containers without a plugin of its own.
        new_network = Path("/usr/lib/podman/netavark").exists()
        file.write_text(_OLD_CGROUPS + (_NETAVARK if new_network else ""))
        atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
        os.environ["CONTAINERS_CONF"] = str(file)


def forget_names() -> None:
    """Take the names of networks that are gone from podman's name server. It keeps those of a run
    that was killed, and a later network with the same addresses would answer with them."""
    folder = Path("/run/containers/networks/aardvark-dns")
    listed = subprocess.run(
        ["podman", "network", "ls", "--format={{.Name}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    here = {*listed.stdout.split(), "aardvark.pid"}
    gone = [f for f in folder.glob("gemma4-*") if f.name.partition("%")[0] not in here]
    for file in gone:
        file.unlink()
    server = folder / "aardvark.pid"
    if gone and server.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(server.read_text()), signal.SIGHUP)  # reads the folder again


def base_image(name: str) -> str:
    """An image with nothing but the base system: of a release of Debian, made here or pulled, or
    any image where ``name`` says where it is."""
    if "/" in name:
        _run("podman", "pull", "--quiet", name)
        return name
    image = f"localhost/gemma4-fresh:{name}"
    if subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0:
        return image
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pulled = f"docker.io/library/debian:{name}-slim"
        _run("podman", "pull", "--quiet", pulled)
        return pulled
    folder = Path(tempfile.mkdtemp(prefix="gemma4-base-"))
    try:
        log = _run("debootstrap", "--variant=minbase", name, str(folder), _archive())
        if not (folder / "usr/bin/apt-get").exists():
            raise SystemExit(f"debootstrap made no base of {name}:\n{log}")
        with subprocess.Popen(
            ["tar", "-C", str(folder), "-c", "--one-file-system", "."], stdout=subprocess.PIPE
        ) as tar:
            subprocess.run(
                ["podman", "import", "--quiet", "-", image], stdin=tar.stdout, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
    finally:
        # debootstrap leaves /proc mounted where it was stopped.
        subprocess.run(["umount", "-q", folder / "proc", folder / "sys"], check=False,
                       stderr=subprocess.DEVNULL)  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
    return image


def _archive() -> str:
    """Where this machine's apt gets Debian from."""
    lines = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"
    )
    found = [line.split()[0] for line in lines.splitlines() if len(line.split()) == 2]
    if not found:
        raise SystemExit("apt knows no archive: run `apt-get update`, or give an image in BASES")
    return found[0]


def _apt_settings() -> str:
    """How this machine's apt gets files: proxies, retries, checks of dates."""
    if not shutil.which("apt-config"):
        return ""
    lines = _run("apt-config", "dump").splitlines()
    return "".join(f"{x}\n" for x in lines if x.startswith("Acquire::") and '""' not in x)


def pip_settings() -> tuple[str, list[str]]:
    """This machine's settings of pip as one file, and the paths of this machine that they name:
    local wheels, a local index, constraints. Certificates are not among them."""
    if importlib.util.find_spec("pip") is None:
        return "", []
    listed = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    values = dict(line.split("=", 1) for line in listed if "=" in line)
    options = {key.rpartition(".")[2]: ast.literal_eval(text) for key, text in values.items()}
    options.pop("cert", None)
    paths = set()
    for word in " ".join(options.values()).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            # A local index refers to files beside it.
            paths.add(str(path.parent if word.startswith("file://") else path))
    return "\n".join(["[global]", *(f"{k} = {v}" for k, v in options.items()), ""]), sorted(paths)


def free_ports(count: int) -> list[str]:
    """Ports of loopback that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def build_volumes(folder: Path) -> list[str]:
    """Options of ``podman build`` that give its steps this machine's settings of pip and apt,
    read-only. Their files are written to ``folder``."""
    settings, paths = pip_settings()
    mounts = {path: path for path in paths}
    if _CERTIFICATES.is_file():
        mounts[str(_CERTIFICATES)] = _CERTIFICATES_THERE
        settings = (settings or "[global]\n") + f"cert = {_CERTIFICATES_THERE}\n"
    for name, there, text in (
        ("pip.conf", "/etc/pip.conf", settings),
        ("apt.conf", "/etc/apt/apt.conf.d/99of-the-host", _apt_settings()),
    ):
        file = folder / name
        file.write_text(text)
        mounts[str(file)] = there
    return [f"--volume={here}:{there}:ro" for here, there in mounts.items()]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclass(frozen=True)
class Done:
    """A command that ended. ``text`` is all that it printed."""

    status: int
    text: str
    seconds: float


class Container:
    """Runs until ``close``, or ``timeout`` seconds at most. Its network is that of this machine."""

    def __init__(self, image: str, env: dict[str, str], *, timeout: float) -> None:
        passed = {k: v for k, v in os.environ.items() if k.lower() in _PROXIES}
        settings, paths = pip_settings()
        mounts = {path: path for path in paths}
        if _CERTIFICATES.is_file():
            mounts[str(_CERTIFICATES)] = passed["PIP_CERT"] = _CERTIFICATES_THERE
        self.name = f"gemma4-fresh-{os.getpid()}-{time.monotonic_ns()}"
        _run(
            "podman", "run", "--detach", "--rm", "--network=host", f"--name={self.name}",
            # Tests start several servers at once, and make mount namespaces of their own.
            "--shm-size=1g", "--security-opt=seccomp=unconfined", "--security-opt=unmask=ALL",
            *(f"--volume={here}:{there}:ro" for here, there in mounts.items()),
            *(f"--env={k}={v}" for k, v in {**passed, **env}.items()),
            # The shell reaps what a server leaves behind.
            image, "sh", "-c", f"sleep {int(timeout)} & wait",
        )  # fmt: skip
        self.write("/etc/pip.conf", settings.encode())
        self.write("/etc/apt/apt.conf.d/99of-the-host", _apt_settings().encode())

    def command(self, script: str, *, user: str = "root", cwd: str = "/") -> list[str]:
        return ["podman", "exec", "--interactive", f"--user={user}", f"--workdir={cwd}", self.name,
                "sh", "-c", script]  # fmt: skip

    def run(self, script: str, *, user: str = "root", cwd: str = "/", timeout: float = 600) -> Done:
        """Run ``script`` to its end; status 124 when it takes longer than ``timeout`` seconds."""
        started = time.monotonic()
        try:
            done = subprocess.run(
                self.command(script, user=user, cwd=cwd), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            return Done(124, (error.stdout or b"").decode(errors="replace"), timeout)
        text = done.stdout.decode(errors="replace")
        return Done(done.returncode, text, time.monotonic() - started)

    def write(self, path: str, data: bytes, *, user: str = "root") -> None:
        subprocess.run(self.command(f"cat > {path}", user=user), input=data, check=True)

    def megabytes(self) -> float:
        """What was written in it so far."""
        size = _run("podman", "container", "inspect", "--size", "--format={{.SizeRw}}", self.name)
        return int(size) / 1e6

    def close(self) -> None:
        subprocess.run(["podman", "kill", self.name], check=False, capture_output=True)
        subprocess.run(["podman", "wait", self.name], check=False, capture_output=True)
