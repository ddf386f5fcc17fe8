"""The demo model behind a gateway, with room for the prompts of coding agents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from places import CACHE, ROOT

__all__ = ["Gateways", "build", "serving"]

ROOM = 65536
"""Tokens of a prompt and its answer. The prompts of coding agents have 20,000 and more."""
ENGINE = CACHE / f"engine-{ROOM}"


def build() -> Path:
    """Build the demo engine with ``ROOM``, and return its folder. The model was trained on 2048
    tokens: what it says to longer prompts has no sense, and its form is what is looked at."""
    if (ENGINE / "engine.json").exists():
        return ENGINE
    checkpoint = CACHE / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.copytree(ROOT / "demo/checkpoint", checkpoint)
    config = json.loads((checkpoint / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = ROOM
    (checkpoint / "config.json").write_text(json.dumps(config))
    request = BuildRequest(
        checkpoint=checkpoint, out=ENGINE, precision="f32", slots=4, max_total_tokens=ROOM
    )
    build_engine(request, SilentReporter())
    return ENGINE


class Gateways:
    """Started before the same server. ``plain`` has the defaults and a store of responses,
    ``lenient`` the option --drop-unsupported."""

    def __init__(self, server: Served, folder: Path) -> None:
        store = f"--response-store={folder / 'responses.db'}"
        self.plain = RunningGateway(server.grpc, args=(store,), log=str(folder / "plain.log"))
        self.lenient = RunningGateway(
            server.grpc, args=("--drop-unsupported",), log=str(folder / "lenient.log")
        )

    def stop(self) -> int:
        """Return the worst exit status."""
        return max(self.plain.stop(), self.lenient.stop())


@contextmanager
def serving(engine: Path, folder: Path) -> Iterator[Gateways]:
    """Start a server and its gateways, and stop them. Their logs are in ``folder``."""
    server = Served(engine, folder / "run")
    gateways = None
    try:
        gateways = Gateways(server, folder)
        yield gateways
    finally:
        if gateways is not None:
            gateways.stop()
        server.stop()
