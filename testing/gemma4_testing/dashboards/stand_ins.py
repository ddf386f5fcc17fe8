"""Families that the machine or the engine of a test does not have, so that their queries are
answered too, and events that a test of a minute does not see. A family that a real server or
gateway tells is left out, unless it counts such events: then its series stand beside the real."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["STAND_INS", "StandIn", "StandInServer"]

_GPUS = ('gpu_uuid="GPU-0"', 'gpu_uuid="GPU-1"')
_NO_GPU = "Triton tells it only where it sees a GPU"
_NO_DRAFTS = "no engine of this test drafts tokens"
_NO_TLS = "the gateway of this test speaks HTTP"
_ONE_GATE = "the quality gate runs once in a test of a minute"
_NO_LOSS = "no engine is lost and restarted in a test of a minute"


@dataclass(frozen=True)
class StandIn:
    """``value`` of the seconds since the start; ``labels`` as in the text format. ``event``: it
    counts what happens too seldom for a test, so that the real series stay at 0."""

    family: str
    why: str
    value: Callable[[float], float]
    labels: tuple[str, ...] = ("",)
    event: bool = False


def _wave(low: float, high: float) -> Callable[[float], float]:
    return lambda t: low + (high - low) * (0.5 + 0.5 * math.sin(t / 5))


STAND_INS = (
    StandIn("nv_gpu_utilization", _NO_GPU, _wave(0.4, 0.9), _GPUS),
    StandIn("nv_gpu_memory_used_bytes", _NO_GPU, _wave(70e9, 72e9), _GPUS),
    StandIn("nv_gpu_memory_total_bytes", _NO_GPU, lambda t: 80e9, _GPUS),
    StandIn("nv_gpu_power_usage", _NO_GPU, _wave(400, 650), _GPUS),
    StandIn("nv_gpu_power_limit", _NO_GPU, lambda t: 700, _GPUS),
    StandIn("nv_energy_consumption", _NO_GPU, lambda t: 525 * t, _GPUS),
    StandIn("gemma4_spec_decode_num_drafts_total", _NO_DRAFTS, lambda t: 100 * t),
    StandIn("gemma4_spec_decode_num_draft_tokens_total", _NO_DRAFTS, lambda t: 300 * t),
    StandIn("gemma4_spec_decode_num_accepted_tokens_total", _NO_DRAFTS, lambda t: 210 * t),
    StandIn("gemma4_engine_restarts_total", _NO_LOSS, lambda t: t // 12, ('reason="frozen"',),
            event=True),
    StandIn("gemma4_quality_gate_runs_total", _ONE_GATE, lambda t: 1 + t // 12,
            ('result="passed"',), event=True),
    StandIn("gemma4_gateway_tls_certificate_not_after_seconds", _NO_TLS,
            lambda t: time.time() + 30 * 86400),
    StandIn("gemma4_gateway_tls_reloads_total", _NO_TLS, lambda t: t // 25, ('result="loaded"',)),
)  # fmt: skip


class StandInServer:
    """An exporter of the families that are not in ``real``, and of events, on a port of its own."""

    def __init__(self, real: set[str]) -> None:
        self.used = tuple(one for one in STAND_INS if one.event or one.family not in real)
        self._start = time.monotonic()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = "".join(outer.lines()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # Prometheus waits for a second only
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def lines(self) -> Iterator[str]:
        t = time.monotonic() - self._start
        for one in self.used:
            for labels in one.labels:
                yield f"{one.family}{{{labels}}} {one.value(t)}\n"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
