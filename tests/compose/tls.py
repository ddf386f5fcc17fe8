"""The stack with TLS_FOLDER set."""

from __future__ import annotations

from pathlib import Path

import certificates
from checks import Checks, get, podman
from project import Project
from stack import DEFAULT, HEALTHY_S, chat, load, prometheus_targets

__all__ = ["settings", "with_tls"]

NAME = "gemma.example"


def settings(env: dict[str, str], folder: Path) -> dict[str, str]:
    """What .env says, with a certificate made in ``folder``, which must not be there yet."""
    certificates.make(folder, NAME)
    return {**env, "TLS_FOLDER": str(folder), "TLS_NAME": NAME, "TLS_CA": str(folder / "ca.crt")}


def with_tls(check: Checks, project: Project, ports: dict[str, str], authority: Path) -> None:
    """HTTPS and nothing else: for clients, the health check, Prometheus and locust."""
    done = project.compose("up", "--detach", "--no-build")
    healthy = project.wait_healthy(DEFAULT, HEALTHY_S)
    if not check(f"TLS: all healthy {sorted(healthy)}", healthy.keys() == DEFAULT, done.stdout):
        print(podman("logs", project.containers()["gateway"]).stdout[-3000:])
        return
    chat(check, ports["GATEWAY_PORT"], authority)
    status, text = get(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/health/ready")
    check("plain HTTP is refused with 400 plain_http", status == 400 and "plain_http" in text, text)
    prometheus_targets(check, project, "https")
    load(check, project, ports["LOCUST_PORT"], f"https://{NAME}:8080/v1")
