"""Stands in for Grafana: reads data source and dashboards where Grafana finds them, and asks the
data source every query. Standard library and PyYAML; it runs in a container of its own."""

from __future__ import annotations

import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_PROVISIONING = Path("/etc/grafana/provisioning")


def read(folder: str) -> list[dict]:
    return [yaml.safe_load(x.read_text()) for x in (_PROVISIONING / folder).glob("*.yml")]


def expand(query: str, board: dict) -> str:
    """Put in what Grafana would: All of what can be chosen, and the values the page opens with."""
    values = {
        v["name"]: v["current"].get("value", "") for v in board["templating"]["list"]
        if v["type"] in ("textbox", "custom")
    } | dict.fromkeys(("namespace", "job", "instance"), ".*")  # fmt: skip
    values |= {"__rate_interval": "1m", "__range": "30m"}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], query)


def queries() -> Iterator[tuple[str, str, str]]:
    """(dashboard, address of the data source, query) of every panel. A data source that the page's
    variable chooses is the default one."""
    found = [s for file in read("datasources") for s in file["datasources"]]
    sources = {s["uid"]: s["url"] for s in found}
    sources["${datasource}"] = next(s["url"] for s in found if s["isDefault"])
    for provider in (p for file in read("dashboards") for p in file["providers"]):
        for file in Path(provider["options"]["path"]).glob("**/*.json"):
            board = json.loads(file.read_text())
            for panel in board["panels"]:
                for target in panel.get("targets", []):
                    source = sources[target["datasource"]["uid"]]
                    yield file.stem, source, expand(target["expr"], board)


def ask(url: str, query: str) -> str:
    """ "" or what is wrong."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(address, timeout=4) as answer:
            found = json.load(answer)
    except OSError as error:
        return str(error)
    return "" if found["data"]["result"] else "no data"


class Handler(BaseHTTPRequestHandler):
    """``/api/health`` as Grafana has it, and ``/queries``: for each dashboard, query to what is
    wrong with it."""

    def do_GET(self) -> None:
        body: dict[str, Any] = {}
        if self.path == "/api/health":
            body = {"database": "ok"}
        elif self.path == "/queries":
            for board, url, query in queries():
                body.setdefault(board, {})[query] = ask(url, query)
        else:
            self.send_error(404)
            return
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


if __name__ == "__main__":
    print(f"{len(list(queries()))} queries", file=sys.stderr, flush=True)
    ThreadingHTTPServer(("0.0.0.0", 3000), Handler).serve_forever()
