"""What TLS costs the gateway: ``.venv/bin/python bench/gateway_tls.py``.

One Triton server with the synthetic engine, and two gateways in front of it, one with TLS, that take
turns with every round. The tokens come at ``--pace`` a second and stream, so that each is a chunk of
its own. Prints each gateway's CPU seconds per 1,000 tokens (medians over the rounds), the time of a
new connection with its handshake, and the ratio.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from gateway import Ask, Gateway, one_round
from gemma4_testing.certificates import Authority
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served


async def bench(
    options: argparse.Namespace, gateways: dict[str, RunningGateway], tls: ssl.SSLContext
) -> None:
    sides: dict[str, Ask] = {
        "plain": Gateway(gateways["plain"].port, MODEL).ask,
        "tls": Gateway(gateways["tls"].port, MODEL, tls).ask,
    }
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(options.rounds + 1):
        for name in list(sides) if turn % 2 else list(reversed(sides)):
            before = gateways[name].cpu()
            count, _, _ = await one_round(
                sides[name], options.streams, options.requests, options.tokens, turn * 10_000
            )
            if turn:  # the first pair warms up
                spent[name].append((gateways[name].cpu() - before) / count * 1000)
    for name, values in spent.items():
        print(f"{name:<6} {statistics.median(values):.4f} CPU s per 1,000 tokens  {sorted(values)}")
    ratios = [t / p for t, p in zip(spent["tls"], spent["plain"], strict=True)]
    print(f"tls / plain {statistics.median(ratios):.3f}")


def handshakes(port: int, tls: ssl.SSLContext, gateway: RunningGateway, count: int = 300) -> None:
    before, started = gateway.cpu(), time.perf_counter()
    for _ in range(count):
        with tls.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1"
        ) as sock:
            sock.do_handshake()
    each, cpu = (time.perf_counter() - started) / count, (gateway.cpu() - before) / count
    print(f"a handshake (ECDSA P-256): {each * 1000:.2f} ms, {cpu * 1000:.2f} ms of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--requests", type=int, default=1, help="of each stream in a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--pace", type=float, default=40.0, help="tokens/s of a stream")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "ca")
        files = authority.issue()
        engine = synthetic_engine(Path(folder) / "engine", tokens_per_s=options.pace, slots=256)
        server = Served(engine, Path(folder) / "run")
        args = ("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile))
        gateways = {
            "plain": RunningGateway(server.grpc),
            "tls": RunningGateway(server.grpc, args=args),
        }
        tls = authority.client()
        try:
            uvloop.run(bench(options, gateways, tls))
            handshakes(gateways["tls"].port, tls, gateways["tls"])
        finally:
            for gateway in gateways.values():
                gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
