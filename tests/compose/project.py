"""One run of the compose file by podman-compose."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from checks import podman

__all__ = ["Project"]

_COMPOSE = str(Path(sys.executable).with_name("podman-compose"))
_LABEL = "io.podman.compose.project"


def _process_limit() -> list[str]:
    """Given a limit of files, podman asks for a million processes as well, which a machine with a
    limit of its own refuses; it refuses that limit itself, too."""
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if most == resource.RLIM_INFINITY:
        return []
    few = min(most, 4096)
    return [f"--podman-run-args=--ulimit=nproc={few}:{few}"]


class Project:
    """``name`` keeps it apart from other projects. ``folder`` has the ``files``, of which a later one
    changes an earlier one; ``env`` is what .env could say."""

    def __init__(
        self,
        name: str,
        folder: Path,
        env: dict[str, str],
        *,
        files: tuple[str, ...] = ("docker-compose.yml",),
    ) -> None:
        self.name, self.folder, self.env, self.files = name, folder, env, files

    def compose(
        self, *command: str, profiles: tuple[str, ...] = (), timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run podman-compose to its end. Never raises for its exit status."""
        return subprocess.run(
            [_COMPOSE, "--in-pod=false", f"--project-name={self.name}", *_process_limit(),
             *(f"--file={f}" for f in self.files), *(f"--profile={p}" for p in profiles), *command],
            cwd=self.folder, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip

    def containers(self) -> dict[str, str]:
        """Service to container's id, of all that exist, running or not."""
        listed = json.loads(
            podman("ps", "--all", f"--filter=label={_LABEL}={self.name}", "--format=json").stdout
        )
        return {c["Labels"]["com.docker.compose.service"]: c["Id"] for c in listed}

    def inspect(self, service: str) -> dict:
        found = json.loads(podman("container", "inspect", self.containers()[service]).stdout)
        return found[0]

    def exec(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.containers()[service], *command)

    def wait_healthy(self, services: set[str], seconds: float) -> dict[str, float]:
        """Seconds until each was healthy; services that never were lack. Asks the health checks of
        the file itself: podman leaves that to systemd, which containers and CI often have not."""
        began, found = time.monotonic(), {}
        while time.monotonic() - began < seconds and services - found.keys():
            ids = self.containers()
            for service in sorted((services - found.keys()) & ids.keys()):
                if podman("healthcheck", "run", ids[service]).returncode == 0:
                    found[service] = time.monotonic() - began
            time.sleep(0.5)
        return found

    def processes(self) -> set[int]:
        """Every process of every container, as this machine numbers them."""
        found = set()
        for container in self.containers().values():
            done = podman("top", container, "hpid")
            if done.returncode == 0:
                found |= {int(x) for x in done.stdout.split()[1:]}
        return found

    def leftovers(self) -> list[str]:
        """Containers, volumes and networks that still are."""
        label = f"--filter=label={_LABEL}={self.name}"
        return [
            f"{kind} {line}"
            for kind, command in (
                ("container", ("ps", "--all", "--quiet")),
                ("volume", ("volume", "ls", "--quiet")),
                ("network", ("network", "ls", "--quiet")),
            )
            for line in podman(*command, label).stdout.split()
        ]
