"""Engine folders and servers, made once for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import STARTED
from gemma4_testing.servers.load_runs import PACE_S, PREFILL_S
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the servers said: one may have been lost."""
    report = yield
    if report.failed:
        for command in STARTED:
            report.sections.append((f"said by process {command.process.pid}", command.said()))
    return report


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Folders ``f32`` (8 slots) and ``synthetic`` (100 tokens/s)."""
    folder = tmp_path_factory.mktemp("engines")
    build_engine(
        BuildRequest(
            checkpoint=checkpoint,
            out=folder / "f32",
            precision="f32",
            slots=8,
            max_total_tokens=2048,
        ),
        SilentReporter(),
    )
    build_engine(
        BuildRequest(
            checkpoint=checkpoint,
            out=folder / "synthetic",
            runtime="synthetic",
            slots=64,
            max_total_tokens=4096,
            decode_tokens_per_s=100.0,
        ),
        SilentReporter(),
    )
    return folder


@pytest.fixture(scope="session")
def server(engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo model in float32."""
    served = Served(engines / "f32", tmp_path_factory.mktemp("run"))
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])


@pytest.fixture
def synthetic(engines: Path, tmp_path: Path) -> Iterator[Served]:
    served = Served(engines / "synthetic", tmp_path / "run")
    yield served
    served.stop()


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, RunningGateway]]:
    """A server whose pace is known, and its gateway."""
    folder = tmp_path_factory.mktemp("paced")
    synthetic_engine(
        folder / "engine", tokens_per_s=1 / PACE_S, slots=64, prefill_tokens_per_s=1 / PREFILL_S
    )
    served = Served(folder / "engine", folder / "run")
    gateway = RunningGateway(served.grpc)
    yield served, gateway
    gateway.stop()
    served.stop()
