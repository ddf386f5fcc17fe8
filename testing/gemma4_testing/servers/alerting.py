"""A real Prometheus and Alertmanager with the rules of deploy/monitoring, made faster."""

from __future__ import annotations

import json
import socket
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from gemma4_testing.deploy.alert_rules import ALERTMANAGER, RULES, faster
from gemma4_testing.waiting import wait_until

__all__ = ["FACTOR", "Alerting", "free_port"]

FACTOR, LEAST_S, MOST_S = 60, 5, 60
Key = tuple[str, str]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        found: int = sock.getsockname()[1]
        return found


class Alerting:
    """Scrapes every second what ``targets`` has, job to ports. ``families`` is the text of a small
    exporter, whose labels ``job`` and ``instance`` count. ``told``: what Alertmanager has sent for
    an alert and severity, "firing" or "resolved", the last one last."""

    def __init__(self, folder: Path, targets: dict[str, list[int]]) -> None:
        self.families = ""
        self.told: dict[Key, list[str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()
        own = self._server.server_address[1]
        prometheus, alertmanager = free_port(), free_port()
        self._write(folder, own, alertmanager, targets)
        log = (folder / "log").open("wb")
        self._processes = [
            subprocess.Popen(command, stdout=log, stderr=log)
            for command in (
                ["prometheus", f"--config.file={folder}/prometheus.yml",
                 f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{prometheus}"],
                ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
                 f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
                 "--cluster.listen-address="],
            )
        ]  # fmt: skip

    def wait(self, wanted: set[Key], status: str, seconds: float) -> None:
        """Until the last word of each of ``wanted`` is ``status``."""

        def lacking() -> set[Key]:
            return {key for key in wanted if self.told.get(key, [""])[-1] != status}

        try:
            wait_until(lambda: not lacking(), seconds, every=0.2)
        except AssertionError:
            raise AssertionError(f"not {status}: {sorted(lacking())}; told {self.told}") from None

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(30)
        self._server.shutdown()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(outer.families.encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    key = alert["labels"]["alertname"], alert["labels"]["severity"]
                    outer.told.setdefault(key, []).append(alert["status"])
                self._answer(b"")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        return Handler

    def _write(
        self, folder: Path, own: int, alertmanager: int, targets: dict[str, list[int]]
    ) -> None:
        for rule in RULES:
            text = rule.read_text(encoding="utf-8")
            (folder / rule.name).write_text(faster(text, FACTOR, least=LEAST_S, most=MOST_S))

        def job(name: str, ports: list[int], **more: Any) -> dict[str, Any]:
            return {"job_name": name, "static_configs": [
                {"targets": [f"127.0.0.1:{port}" for port in ports]}]} | more  # fmt: skip

        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / rule.name) for rule in RULES],
            "alerting": {"alertmanagers": [
                {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [job(name, ports) for name, ports in targets.items()]
            + [job("exporter", [own], honor_labels=True)],
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        text = faster(ALERTMANAGER.read_text(), FACTOR, least=LEAST_S, most=MOST_S)
        routes = yaml.safe_load(text)
        for receiver in routes["receivers"]:
            receiver["webhook_configs"] = [
                {"url": f"http://127.0.0.1:{own}/", "send_resolved": True}
            ]
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes))
