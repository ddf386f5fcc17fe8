"""Each alert is fired by a real fault: servers, gateways, Prometheus and Alertmanager are real, and
the rules those of deploy/monitoring with their times made faster.

First a healthy stack, which must fire nothing. Then the scenes that were chosen (``-k``), a few at
once, each in its own namespace; a test waits for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from gemma4_testing.alerts import of_gateways, of_servers
from gemma4_testing.alerts.healthy import roll
from gemma4_testing.alerts.scene_engines import make_engines
from gemma4_testing.alerts.world import Stack, World
from gemma4_testing.deploy.alert_rules import forms

SCENES: dict[str, Callable[[Stack], None]] = {
    scene.__name__: scene for scene in (*of_servers.SCENES, *of_gateways.SCENES)
}
Running = dict[str, Future[None]]
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Print the table of docs/operations.md at the end."""
    folder = tmp_path_factory.mktemp("alerts")
    made = World(folder, make_engines(folder))
    try:
        yield made
    finally:
        made.close()
        print(f"\n{made.table()}")


@pytest.fixture(scope="module")
def running(world: World, request: pytest.FixtureRequest) -> Iterator[Running]:
    """The scenes of the tests that were chosen."""

    def play(name: str) -> None:
        with world.stack(name) as stack:
            SCENES[name](stack)

    tests = (item for item in request.session.items if isinstance(item, pytest.Function))
    chosen = {test.callspec.params.get("scene") for test in tests if hasattr(test, "callspec")}
    with ThreadPoolExecutor(request.config.getoption("--at-once")) as pool:
        yield {name: pool.submit(play, name) for name in SCENES if name in chosen}


def test_a_healthy_stack_and_a_rolling_restart_fire_nothing(world: World) -> None:
    with world.stack("healthy") as stack:
        roll(stack)


@pytest.mark.parametrize("scene", SCENES)
def test_real_faults_fire_their_alerts_and_their_ends_end_them(
    scene: str, running: Running
) -> None:
    running[scene].result()


def test_prometheus_without_any_target(world: World) -> None:
    """The last one, since it is about everything that Prometheus watches."""
    world.backend()
    fault = world.fault("Prometheus finds no target at all", "Gemma4ScrapeMissing page server")
    world.alerting.lose_all()
    fault.fires()
    world.alerting.watch()
    fault.ends()


def test_every_alert_was_fired_and_ended(world: World) -> None:
    ended = {form for form, came in world.came.items() if came.ended is not None}
    assert ended == forms()
