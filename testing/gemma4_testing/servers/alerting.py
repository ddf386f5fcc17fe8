"""A real Prometheus and Alertmanager with the rules of deploy/monitoring, made faster."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import yaml
from gemma4_serve.ports import free_port

from gemma4_testing.deploy.alert_rules import ALERTMANAGER, RULES, faster, form_of
from gemma4_testing.waiting import wait_until

__all__ = ["FACTOR", "Alerting", "Target"]

FACTOR, LEAST_S, MOST_S = 20, 5, 60
GROUP_WAIT = "3s"
"""How long Alertmanager waits for a cause before it tells of a symptom. 1.5 times a scrape and an
evaluation together, as in deploy/monitoring (30 s; 10 s and 10 s): both may be seen that far apart,
however fast the rules are. Divided by the factor it would be less than either."""
Key = tuple[str, str]
"""A namespace and a form."""


@dataclass(frozen=True)
class Target:
    """What Prometheus scrapes; ``namespace`` is a label as under Kubernetes."""

    namespace: str
    job: str
    port: int
    https: bool = False

    @property
    def address(self) -> str:
        """The label ``instance``."""
        return f"127.0.0.1:{self.port}"

    def found(self) -> dict[str, Any]:
        """An entry of a file of ``file_sd_configs``."""
        scheme = "https" if self.https else "http"
        labels = {"namespace": self.namespace, "job": self.job, "__scheme__": scheme}
        return {"targets": [self.address], "labels": labels}


class Alerting:
    """Scrapes its targets every second, and keeps what Alertmanager sends. Alerts of different
    namespaces do not silence each other. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._told: dict[Key, list[str]] = {}
        self._targets: set[Target] = set()
        self._lock = Lock()
        self._file = folder / "targets.json"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()
        prometheus, alertmanager = free_port(), free_port()
        self._prometheus = f"http://127.0.0.1:{prometheus}"
        self._alertmanager = f"http://127.0.0.1:{alertmanager}"
        self._write(folder, alertmanager)
        with (folder / "log").open("wb") as log:
            self._processes = [
                subprocess.Popen(command, stdout=log, stderr=log)
                for command in (
                    ["prometheus", f"--config.file={folder}/prometheus.yml",
                     f"--storage.tsdb.path={folder}/tsdb",
                     f"--web.listen-address=127.0.0.1:{prometheus}"],
                    ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
                     f"--storage.path={folder}/am",
                     f"--web.listen-address=127.0.0.1:{alertmanager}",
                     "--cluster.listen-address="],
                )
            ]  # fmt: skip

    def watch(self, *targets: Target) -> None:
        """Scrape these too."""
        with self._lock:
            self._targets.update(targets)
            self._discover(self._targets)

    def forget(self, *targets: Target) -> None:
        """Scrape these no longer."""
        with self._lock:
            self._targets.difference_update(targets)
            self._discover(self._targets)

    def lose_all(self) -> None:
        """Let Prometheus find no target, until :meth:`watch`."""
        with self._lock:
            self._discover(set())

    def wait_for_scrape(self, target: Target) -> None:
        """Return when Prometheus has scraped a target that it watches."""
        query = (
            f'up{{namespace="{target.namespace}",job="{target.job}",instance="{target.address}"}}'
        )
        wait_until(lambda: self._query(query), 60, f"{target} is not scraped", every=0.2)

    def told(self, namespace: str) -> dict[Key, list[str]]:
        """What Alertmanager has sent of each alert, "firing" or "resolved", the last one last."""
        with self._lock:
            return {k: list(v) for k, v in self._told.items() if k[0] == namespace}

    def last(self, namespace: str, form: str) -> str:
        """What it has sent last, "" for nothing."""
        return self.told(namespace).get((namespace, form), [""])[-1]

    def wait(self, namespace: str, form: str, status: str, seconds: float) -> float:
        """Until the last word of this alert is ``status``; return :func:`time.monotonic` then."""
        what = f"{namespace}: {form} is not {status}"
        try:
            wait_until(lambda: self.last(namespace, form) == status, seconds, what, every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; told {self.told(namespace)}") from None
        return time.monotonic()

    def firing(self, namespace: str) -> set[str]:
        """Forms that fire in Prometheus, whoever is told."""
        found = self._query(f'ALERTS{{alertstate="firing",namespace="{namespace}"}}')
        return {form_of(each["metric"]) for each in found}

    def inhibited(self, namespace: str) -> set[str]:
        """Forms that Alertmanager keeps for itself, since others inhibit them."""
        found = self._get(f"{self._alertmanager}/api/v2/alerts?active=true&inhibited=true")
        return {
            form_of(each["labels"])
            for each in found
            if each["labels"].get("namespace") == namespace and each["status"]["inhibitedBy"]
        }

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(30)
        self._server.shutdown()

    def _query(self, query: str) -> list[dict[str, Any]]:
        """Series of an instant vector; none while Prometheus starts."""
        url = f"{self._prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
        try:
            found: list[dict[str, Any]] = self._get(url)["data"]["result"]
        except OSError:
            return []
        return found

    def _get(self, url: str) -> Any:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)

    def _take(self, alert: dict[str, Any]) -> None:
        labels = alert["labels"]
        with self._lock:
            key = labels.get("namespace", ""), form_of(labels)
            self._told.setdefault(key, []).append(alert["status"])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    outer._take(alert)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        return Handler

    def _discover(self, targets: set[Target]) -> None:
        """Prometheus must not read half a file."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps([target.found() for target in targets]))
        new.rename(self._file)

    def _write(self, folder: Path, alertmanager: int) -> None:
        for rule in RULES:
            text = rule.read_text(encoding="utf-8")
            (folder / rule.name).write_text(faster(text, FACTOR, least=LEAST_S, most=MOST_S))
        self._discover(set())
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / rule.name) for rule in RULES],
            "alerting": {"alertmanagers": [
                {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [{
                "job_name": "found", "tls_config": {"insecure_skip_verify": True},
                "file_sd_configs": [{"files": [str(self._file)]}],
            }],
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        text = faster(ALERTMANAGER.read_text(), FACTOR, least=LEAST_S, most=MOST_S)
        routes = yaml.safe_load(text)
        routes["route"]["group_wait"] = GROUP_WAIT
        own = self._server.server_address[1]
        for receiver in routes["receivers"]:
            receiver["webhook_configs"] = [
                {"url": f"http://127.0.0.1:{own}/", "send_resolved": True}
            ]
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes))
