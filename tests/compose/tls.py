"""The stack with TLS_FOLDER set and a gateway of two workers, then with TLS_CLIENTS_FOLDER too."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import certificates
from checks import Checks, get, podman
from project import Project
from stack import DEFAULT, HEALTHY_S, chat, load, prometheus_targets
from workers import lost_worker

__all__ = ["client_settings", "settings", "with_clients", "with_tls"]

NAME = "gemma.example"


def settings(env: dict[str, str], folder: Path) -> dict[str, str]:
    """What .env says, with a certificate made in ``folder``, which must not be there yet."""
    certificates.make(folder, NAME)
    return {
        **env,
        "TLS_FOLDER": str(folder),
        "TLS_NAME": NAME,
        "TLS_CA": str(folder / "ca.crt"),
        "GATEWAY_WORKERS": "2",
    }


def client_settings(env: dict[str, str], folder: Path) -> dict[str, str]:
    """What .env says beside :func:`settings`, with clients' certificates made in ``folder``."""
    certificates.make_clients(folder)
    return {**env, "TLS_CLIENTS_FOLDER": str(folder)}


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
    lost_worker(check, project, ports["GATEWAY_PORT"], authority)
    chat(check, ports["GATEWAY_PORT"], authority)


def with_clients(check: Checks, project: Project, ports: dict[str, str], authority: Path) -> None:
    """Who shows a certificate of the clients' authorities is answered, who does not is told of
    health alone. Prometheus and locust show one."""
    clients = Path(project.env["TLS_CLIENTS_FOLDER"])
    done = project.compose("up", "--detach", "--no-build")
    healthy = project.wait_healthy(DEFAULT, HEALTHY_S)
    if not check(f"mTLS: all healthy {sorted(healthy)}", healthy.keys() == DEFAULT, done.stdout):
        print(podman("logs", project.containers()["gateway"]).stdout[-3000:])
        return
    chat(check, ports["GATEWAY_PORT"], authority, clients)
    base = f"https://127.0.0.1:{ports['GATEWAY_PORT']}"
    none = ssl.create_default_context(cafile=authority)
    status, text = get(f"{base}/v1/models", context=none)
    check(
        f"without a certificate: {status}",
        status == 403 and json.loads(text)["error"]["code"] == "missing_client_certificate",
        text,
    )
    status, text = get(f"{base}/metrics", context=none)
    check(f"metrics without a certificate: {status}", status == 403, text)
    status, text = get(f"{base}/health/ready", context=none)
    check(f"health without a certificate: {status}", status == 200, text)
    # That of the gateway itself is of another authority.
    folder = Path(project.env["TLS_FOLDER"])
    other = ssl.create_default_context(cafile=authority)
    other.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    status, text = get(f"{base}/v1/models", context=other)
    check(f"with another authority's certificate: {text!r}", status == 0, status)
    prometheus_targets(check, project, "https")
    load(check, project, ports["LOCUST_PORT"], f"https://{NAME}:8080/v1")
