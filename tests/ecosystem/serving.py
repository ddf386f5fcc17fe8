"""The demo model behind a gateway, with room for the prompts of coding agents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Gateways:
    """Started before the same server. ``plain`` has the defaults and a store of responses,
    ``lenient`` the option --drop-unsupported."""

    plain: RunningGateway
    lenient: RunningGateway


@contextmanager
def serving(engine: Path, folder: Path) -> Iterator[Gateways]:
    """Start a server and its gateways, and stop what was started. Logs are in ``folder``."""
    with ExitStack() as running:
        server = Served(engine, folder / "run")
        running.callback(server.stop)
        made = []
        for name, option in (
            ("plain", f"--response-store={folder / 'responses.db'}"),
            ("lenient", "--drop-unsupported"),
        ):
            gateway = RunningGateway(
                server.grpc, args=(option,), log=str(folder / f"{name}.log")
            )  # fmt: skip
            running.callback(gateway.stop)
            made.append(gateway)
        yield Gateways(*made)
