"""Each alert is fired by a real fault: servers, gateways, Prometheus and Alertmanager are real, and
the rules those of deploy/monitoring with their times made faster.

First a healthy stack, which must fire nothing. Then all faults at once, each in its own namespace;
a test for each alert looks at what came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from gemma4_testing.alerts import of_gateways, of_servers
from gemma4_testing.alerts.engines import Engines, make_engines
from gemma4_testing.alerts.healthy import NAMESPACE, roll
from gemma4_testing.alerts.world import World
from gemma4_testing.deploy.alert_rules import alerts
from gemma4_testing.servers.alerting import form_of

FORMS = sorted(
    form_of({"alertname": rule["alert"], "severity": "", **rule["labels"]}) for rule in alerts()
)
FROM_NOWHERE = "Gemma4ScrapeMissing page server"
pytestmark = pytest.mark.timeout(900)


class Ran:
    """The whole run. ``healthy``: what a healthy stack did wrong; ``broke``: by scene."""

    def __init__(self, world: World, engines: Engines) -> None:
        self.world = world
        self.healthy = ""
        self.broke: dict[str, str] = {}
        backend = self._healthy(engines)
        scenes: list[tuple[str, Callable[[], None]]] = [
            *((s.__name__, partial(s, world, engines)) for s in of_servers.SCENES),
            *((s.__name__, partial(s, world, backend)) for s in of_gateways.SCENES),
        ]
        with ThreadPoolExecutor(len(scenes)) as pool:
            list(pool.map(self._run, scenes))
        self._run(("no target", self._no_target))

    def _healthy(self, engines: Engines) -> int:
        try:
            return roll(self.world, engines).grpc
        except AssertionError as error:
            self.healthy = str(error)
            return self.world.server("spare", engines.wide).grpc

    def _run(self, scene: tuple[str, Callable[[], None]]) -> None:
        name, act = scene
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the other scenes go on; a test shows it
            self.broke[name] = repr(error)[:2000]

    def _no_target(self) -> None:
        """Last, since it is about everything that Prometheus watches."""
        fault = self.world.fault("Prometheus finds no target at all", "", FROM_NOWHERE)
        self.world.alerting.lose_all()
        fault.fires()
        self.world.alerting.watch()
        fault.ends()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("alerts")
    engines, world = make_engines(folder), World(folder)
    try:
        yield Ran(world, engines)
    finally:
        world.close()


def test_a_healthy_stack_and_a_rolling_restart_fire_nothing(ran: Ran) -> None:
    assert not ran.healthy


@pytest.mark.parametrize("form", FORMS)
def test_a_real_fault_fires_it_and_its_end_ends_it(form: str, ran: Ran) -> None:
    came = ran.world.came.get(form)
    assert came is not None and came.ended is not None, ran.broke


def test_no_scene_broke(ran: Ran) -> None:
    """Among what they look at: a server that is down silences its symptoms."""
    assert not ran.broke


def test_what_was_healthy_before_the_faults_stays_so(ran: Ran) -> None:
    """Faults elsewhere are no alerts here, until Prometheus lost all targets."""
    told = {form for _, form in ran.world.alerting.told(NAMESPACE)}
    assert ran.healthy or told <= {"Gemma4ScrapeMissing page gateway"}


def test_times(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table of docs/operations.md."""
    with capsys.disabled():
        print("\n| alert | fault | fired | resolved |\n|---|---|---|---|")
        for form, came in sorted(ran.world.came.items()):
            print(f"| {form} | {came.fault} | {came.fired:.0f} s | {came.ended or 0:.0f} s |")
    assert ran.world.came.keys() == set(FORMS)
