"""Faults of gateways and of what Prometheus watches, before a server that is well."""

from __future__ import annotations

from functools import partial

from gemma4_serve.ports import free_port

from gemma4_testing.alerts.load import client, going_on, streamed
from gemma4_testing.alerts.world import Stack
from gemma4_testing.certificates import Authority
from gemma4_testing.servers.process_tree import find_process

__all__ = ["SCENES"]

_DAY_S = 86400


def certificate(stack: Stack) -> None:
    """Certificates that end soon, and a key of another. After each comes one that is well."""
    authority = Authority(stack.world.folder / "certificate")
    files = authority.issue(days=90)
    assert files.keyfile is not None
    stack.gateway(
        stack.world.backend(),
        args=("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile)),
    )
    for ends, days, form in (
        ("20 days", 20.0, "Gemma4CertificateExpiring ticket"),
        ("2 days", 2.0, "Gemma4CertificateExpiring page"),
        ("20 s", 20 / _DAY_S, "Gemma4CertificateExpired page"),
    ):
        fault = stack.fault(f"a certificate that ends in {ends}", form)
        authority.issue(days=days)
        fault.fires()
        authority.issue(days=90)
        fault.ends()
    other = authority.issue("other")
    assert other.keyfile is not None
    fault = stack.fault(
        "a key that does not belong to the certificate", "Gemma4CertificateReloadFailed ticket"
    )
    files.keyfile.write_bytes(other.keyfile.read_bytes())
    fault.fires()
    authority.issue(days=90)
    fault.ends()


def unwritten(stack: Stack) -> None:
    """A log that cannot be written."""
    gateway = stack.gateway(stack.world.backend(), log="/dev/full")
    fault = stack.fault(
        "a log that nobody can write to (`/dev/full`)", "Gemma4LogLinesDropped ticket"
    )
    with client(gateway.url) as http, going_on(partial(streamed, http, max_tokens=1), 1, pause=0.5):
        fault.fires()
    fault.ends()


def worker(stack: Stack) -> None:
    """One of two workers is killed."""
    gateway = stack.gateway(stack.world.backend(), args=("--workers", "2"))
    fault = stack.fault("SIGKILL of one of two workers", "Gemma4GatewayWorkerRestarts ticket")
    find_process(gateway.process.pid, lambda _: True).kill()
    fault.fires()
    fault.ends()


def limited(stack: Stack) -> None:
    """A gateway that is full."""
    gateway = stack.gateway(stack.world.backend(), args=("--max-running", "1"))
    fault = stack.fault(
        "three clients of a gateway with `--max-running 1`", "Gemma4GatewayLimits ticket"
    )
    ask = partial(streamed, max_tokens=50)
    with client(gateway.url) as http, going_on(partial(ask, http), 3, pause=0.3):
        fault.fires()
    fault.ends()


def astray(stack: Stack) -> None:
    """Ports that are wrong: a gateway's, and one of Prometheus."""
    gateway = stack.gateway(stack.world.backend())
    gateway.kill()
    right, gateway.backends = gateway.backends, (free_port(),)
    fault = stack.fault(
        "a gateway whose `--backend` has the wrong port", "Gemma4NoReadyBackend page"
    )
    gateway.start()
    fault.fires()
    fault.inhibits("Gemma4BackendNotReady ticket")
    gateway.kill()
    gateway.backends = right
    gateway.start()
    fault.ends()
    fault = stack.fault(
        "a job `triton` whose target is a gateway", "Gemma4ScrapeMissing page engine"
    )
    wrong = stack.target("triton", gateway.port)
    stack.watch(wrong)
    fault.fires()
    stack.alerting.forget(wrong)
    fault.ends()


def gateways(stack: Stack) -> None:
    """One of two gateways goes, then both, and then Prometheus loses them."""
    made = [stack.gateway(stack.world.backend()) for _ in range(2)]
    fault = stack.fault("SIGKILL of one of two gateways", "Gemma4GatewayDown ticket")
    made[0].kill()
    fault.fires()
    made[0].start()
    fault.ends()
    fault = stack.fault("SIGKILL of all gateways", "Gemma4GatewayDown page")
    for each in made:
        each.kill()
    fault.fires()
    fault.inhibits("Gemma4GatewayDown ticket")
    for each in made:
        each.start()
    fault.ends()
    fault = stack.fault("Prometheus loses its gateways", "Gemma4ScrapeMissing page gateway")
    targets = [stack.target("gateway", each.port) for each in made]
    stack.alerting.forget(*targets)
    fault.fires()
    stack.alerting.watch(*targets)
    fault.ends()


SCENES = (certificate, gateways, astray, limited, unwritten, worker)
