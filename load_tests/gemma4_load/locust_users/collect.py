"""Our metrics in locust: gathered on every worker, summed on the master, shown in its web page."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from typing import Any

import gevent
from flask import Response, request
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from gemma4_load.metrics import REQUEST_METRICS
from gemma4_load.metrics.distribution import distribution
from gemma4_load.record import Record
from gemma4_load.report.numbers import show

__all__ = ["Collector"]

_SHOWN = (
    "ttft", "itl", "inter_chunk", "tpot", "latency", "queue_time", "prompt_tokens", "output_tokens",
)  # fmt: skip
_COLUMNS = ("count", "mean", "p50", "p90", "p95", "p99", "max")
_KEY = "gemma4_values"
_TAB = "gemma4-latency"


class Collector:
    """Values of whole answers to requests that were sent after the warm-up, or after the last
    "Reset stats". In a distributed run the workers send theirs to the master with locust's own
    reports."""

    def __init__(self, environment: Environment) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self._environment = environment
        self._since = 0.0
        self._warmup: Any = None
        # gevent counts timers from when its loop last looked at the clock: before imports, which
        # take a second or more. The run time of locust would be too short by that.
        gevent.get_hub().loop.update_now()
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.test_stop.add_listener(self._end)
        events.reset_stats.add_listener(self._reset)
        if isinstance(environment.runner, WorkerRunner):
            events.report_to_master.add_listener(self._send)
        if isinstance(environment.runner, MasterRunner):
            events.worker_report.add_listener(self._receive)
        if environment.web_ui is not None:
            self._extend(environment.web_ui)

    def add(self, record: Record, sent: float) -> None:
        """Add a request; ``sent`` is when, on ``time.perf_counter``."""
        if record.whole and sent >= self._since:
            for name in _SHOWN:
                self.values[name] += REQUEST_METRICS[name].values(record)

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the table: times in milliseconds."""
        found = []
        for name in _SHOWN:
            metric, values = REQUEST_METRICS[name], distribution(self.values[name])
            if values is None:
                continue
            cells = {c: show(getattr(values, c), metric.unit) for c in _COLUMNS[1:]}
            unit = "ms" if metric.unit == "s" else metric.unit
            found.append({"metric": f"{metric.label}, {unit}", "count": str(values.count)} | cells)
        return found

    def table(self) -> str:
        """Return the table for a terminal."""
        lines = [f"{'':34}" + "".join(f"{name:>10}" for name in _COLUMNS)]
        for row in self.rows():
            lines.append(f"{row['metric']:34}" + "".join(f"{row[name]:>10}" for name in _COLUMNS))
        return "\n".join(lines)

    def _begin(self, **_: Any) -> None:
        self._reset()
        seconds = self._environment.parsed_options.warmup
        self._warmup = None
        if 0 < seconds < math.inf:  # the users refuse anything else than that and 0
            self._warmup = gevent.spawn_later(seconds, self._warm)

    def _end(self, **_: Any) -> None:
        if self._warmup is None or self._warmup.ready():
            return
        self._warmup.kill()
        seconds = self._environment.parsed_options.warmup
        print(f"the run ended within its warm-up of {seconds:g} s: no figures", file=sys.stderr)
        self._reset()
        self._environment.process_exit_code = 1

    def _warm(self) -> None:
        """Begin locust's own figures anew, and ours, as the page's "Reset stats" does."""
        self._environment.events.reset_stats.fire()
        self._environment.stats.reset_all()

    def _reset(self, **_: Any) -> None:
        self.values.clear()
        self._since = time.perf_counter()

    def _send(self, data: dict[str, Any], **_: Any) -> None:
        data[_KEY] = {name: list(values) for name, values in self.values.items()}
        self.values.clear()

    def _receive(self, data: dict[str, Any], **_: Any) -> None:
        for name, values in data.get(_KEY, {}).items():
            self.values[name] += values

    def _extend(self, web: Any) -> None:
        """Add a tab to locust's page (its ``extended_tabs``), fed through ``/stats/requests``."""
        titles = {"metric": "Metric"} | {name: name for name in _COLUMNS}
        structure = [{"key": key, "title": title} for key, title in titles.items()]
        web.template_args |= {
            "extended_tabs": [{"title": "Streaming latency", "key": _TAB}],
            "extended_tables": [{"key": _TAB, "structure": structure}],
        }

        @web.app.after_request  # type: ignore[untyped-decorator]
        def extend(response: Response) -> Response:
            if request.path == "/stats/requests" and response.is_json:
                body = response.get_json()
                body["extended_stats"] = [{"key": _TAB, "data": self.rows()}]
                response.set_data(json.dumps(body))
            return response
