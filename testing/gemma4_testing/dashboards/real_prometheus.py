"""A Prometheus of its own for a test, and what it answers."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from gemma4_serve.ports import free_port

from gemma4_testing.waiting import wait_until

__all__ = ["RealPrometheus", "Series"]


@dataclass(frozen=True)
class Series:
    """``points``: Unix time and value."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def finite(self) -> bool:
        return all(math.isfinite(value) for _, value in self.points)


class RealPrometheus:
    """Asks ``targets`` (job to ports on this machine) once a second."""

    def __init__(self, folder: Path, targets: dict[str, list[int]]) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise SystemExit("no prometheus: apt-get install prometheus")
        jobs = [
            {
                "job_name": job,
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
            }
            for job, ports in targets.items()
        ]
        config = folder / "prometheus.yml"
        config.write_text(
            yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})
        )
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [
                program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        wait_until(self._ready, 30)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    def ask(self, query: str, start: float, end: float, step: float = 1) -> list[Series]:
        """Return what a graph gets. Raises ValueError with Prometheus' words for a wrong query."""
        form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step})
        return [
            Series(one["metric"], [(when, float(text)) for when, text in one["values"]])
            for one in self._get(f"query_range?{form}")["result"]
        ]

    def labels(self, name: str) -> set[str]:
        """Values of a label."""
        return set(self._get(f"label/{name}/values"))

    def _get(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=20) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()
