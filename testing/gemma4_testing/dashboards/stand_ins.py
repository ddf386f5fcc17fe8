"""Families that the machine or the engine of a test does not have, so that their queries are
answered too. Those that a real server or gateway tells are left out, whatever stands here."""

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
_NO_GATE = "the quality gate has not run in a test of a minute"
_SUPERVISOR = "`gemma4 serve` restarts nothing here, and older ones do not count it"
_LATER = "older servers do not tell it"


@dataclass(frozen=True)
class StandIn:
    """``value`` of the seconds since the start; ``labels`` as in the text format."""

    family: str
    why: str
    value: Callable[[float], float]
    labels: tuple[str, ...] = ("",)


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
    StandIn("gemma4_engine_restarts_total", _SUPERVISOR, lambda t: t // 30, ('reason="frozen"',)),
    StandIn("gemma4_last_update_timestamp_seconds", _LATER, lambda t: time.time() - 0.5),
    StandIn("gemma4_quality_gate_ok", _NO_GATE, lambda t: 1),
    StandIn("gemma4_quality_gate_agreement", _NO_GATE, lambda t: 0.98),
    StandIn("gemma4_quality_gate_runs_total", _NO_GATE, lambda t: 1 + t // 20,
            ('result="passed"',)),
    StandIn("gemma4_gateway_tls_certificate_not_after_seconds", _NO_TLS,
            lambda t: time.time() + 30 * 86400),
    StandIn("gemma4_gateway_tls_reloads_total", _NO_TLS, lambda t: t // 25, ('result="loaded"',)),
)  # fmt: skip


class StandInServer:
    """An exporter of the families that are not in ``real``, on a port of its own."""

    def __init__(self, real: set[str]) -> None:
        self.used = tuple(one for one in STAND_INS if one.family not in real)
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
