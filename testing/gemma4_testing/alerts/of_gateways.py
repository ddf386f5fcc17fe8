"""Faults of gateways and of what Prometheus watches. ``backend`` is the gRPC port of a server that
is well."""

from __future__ import annotations

import time
from functools import partial

from gemma4_testing.alerts.load import client, going_on, streamed
from gemma4_testing.alerts.world import World
from gemma4_testing.certificates import Authority
from gemma4_testing.servers.alerting import Target, free_port

__all__ = ["SCENES"]

_DAY_S = 86400


def expired(world: World, backend: int) -> None:
    _certificate(world, backend, "expired", 15 / _DAY_S, "Gemma4CertificateExpired page")


def soon(world: World, backend: int) -> None:
    _certificate(world, backend, "soon", 2, "Gemma4CertificateExpiring page")


def later(world: World, backend: int) -> None:
    _certificate(world, backend, "later", 20, "Gemma4CertificateExpiring ticket")


def _certificate(world: World, backend: int, name: str, days: float, form: str) -> None:
    """It ends after ``days``, and is then renewed."""
    authority = Authority(world.folder / name)
    files = authority.issue(days=days)
    world.gateway(
        name, (backend,), "--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile)
    )
    ends = f"{days:g} days" if days >= 1 else f"{days * _DAY_S:.0f} s"
    fault = world.fault(f"a certificate that ends in {ends}", name, form)
    fault.fires()
    authority.issue(days=90)
    fault.ends()


def unpaired(world: World, backend: int) -> None:
    authority = Authority(world.folder / "unpaired")
    files = authority.issue(days=90)
    other = authority.issue("other")
    assert files.keyfile is not None and other.keyfile is not None
    world.gateway(
        "unpaired", (backend,),
        "--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile),
    )  # fmt: skip
    time.sleep(3)  # Prometheus has to see the counter before it grows
    fault = world.fault(
        "a key that does not belong to the certificate", "unpaired",
        "Gemma4CertificateReloadFailed ticket",
    )  # fmt: skip
    files.keyfile.write_bytes(other.keyfile.read_bytes())
    fault.fires()
    authority.issue(days=90)
    fault.ends()


def unwritten(world: World, backend: int) -> None:
    gateway = world.gateway("unwritten", (backend,), log="/dev/full")
    fault = world.fault(
        "a log that nobody can write to (`/dev/full`)", "unwritten", "Gemma4LogLinesDropped ticket"
    )
    with client(gateway.url) as http, going_on(partial(streamed, http, max_tokens=1), 1, pause=0.5):
        fault.fires()
    fault.ends()


def limited(world: World, backend: int) -> None:
    gateway = world.gateway("limited", (backend,), "--max-running", "1")
    fault = world.fault(
        "three clients of a gateway with `--max-running 1`", "limited", "Gemma4GatewayLimits ticket"
    )
    with (
        client(gateway.url) as http,
        going_on(partial(streamed, http, max_tokens=50), 3, pause=0.3),
    ):
        fault.fires()
    fault.ends()


def astray(world: World, backend: int) -> None:
    """A gateway with the wrong port, and Prometheus with the gateway's port for a server's."""
    gateway = world.gateway("astray", (free_port(),))
    fault = world.fault(
        "a gateway whose `--backend` has the wrong port", "astray", "Gemma4NoReadyBackend page"
    )
    fault.fires()
    gateway.kill()
    gateway.backends = (backend,)
    gateway.start()
    fault.ends()
    fault = world.fault(
        "a job `triton` whose target is a gateway", "mixed", "Gemma4ScrapeMissing page engine"
    )
    wrong = Target("mixed", "triton", gateway.port)
    world.alerting.watch(wrong)
    fault.fires()
    world.alerting.forget(wrong)
    fault.ends()


def killed(world: World, backend: int) -> None:
    gateway = world.gateway("killed", (backend,))
    time.sleep(8)  # until Prometheus has found it
    fault = world.fault("SIGKILL of the only gateway", "killed", "Gemma4GatewayDown page")
    gateway.kill()
    fault.fires()
    gateway.start()
    fault.ends()
    fault = world.fault(
        "Prometheus loses the target of a gateway", "killed", "Gemma4ScrapeMissing page gateway"
    )
    target = Target("killed", "gateway", gateway.port)
    world.alerting.forget(target)
    fault.fires()
    world.alerting.watch(target)
    fault.ends()


def one_of_two(world: World, backend: int) -> None:
    gateway, _ = world.gateway("two", (backend,)), world.gateway("two", (backend,))
    time.sleep(8)
    fault = world.fault("SIGKILL of one of two gateways", "two", "Gemma4GatewayDown ticket")
    gateway.kill()
    fault.fires()
    gateway.start()
    fault.ends()


SCENES = (expired, soon, later, unpaired, unwritten, limited, astray, killed, one_of_two)
