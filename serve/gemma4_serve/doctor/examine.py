"""Everything that the doctor looks at, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.trtllm.gpus import Gpu
from gemma4_runtime.trtllm.nvml import read_driver

from gemma4_serve.doctor.engine import check_engine
from gemma4_serve.doctor.evidence import engine_record, environment_record, package_record
from gemma4_serve.doctor.gpus import check_gpus
from gemma4_serve.doctor.machine import check_machine, check_ports, check_software
from gemma4_serve.doctor.report import Report, Result
from gemma4_serve.doctor.table import compatibility, recommendation
from gemma4_serve.doctor.trial.budget import Budget
from gemma4_serve.doctor.trial.run import run_trial
from gemma4_serve.ports import Ports

__all__ = ["Questions", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """``engine`` is a folder to check, and with ``trial`` to start. ``card``: ``cards`` of it are
    judged in place of this machine's. Times are seconds; ``budget`` is for everything."""

    engine: Path | None
    trial: bool
    card: Gpu | None
    cards: int
    ports: Ports
    start_timeout: float
    budget: float


def examine(asked: Questions, found: Report, *, say: Callable[[Result], None]) -> None:
    """Put what is found into ``found``. ``say`` gets the results of a trial when they are there. A
    trial can be interrupted, what was found stays. Call this in the main thread."""
    clock = Budget(asked.budget)
    driver = read_driver()
    found.add("Machine", *check_machine())
    found.add("GPU", *check_gpus(driver))
    found.add("Software", *check_software(), *package_record(), *environment_record())
    found.add("Ports", *check_ports("127.0.0.1", asked.ports))
    device, count = asked.card, asked.cards
    if device is not None:
        found.add(f"{count} x {device.product}", *compatibility(device, count))
    elif not isinstance(driver, str) and driver.devices:
        device, count = driver.devices[0].gpu, len(driver.devices)
        found.add(f"What {device.product} can run", *compatibility(device, count))
    if asked.engine is not None:
        manifest, results = check_engine(asked.engine, driver)
        found.add("Engine", *results)
        if manifest is not None:
            found.add("Engine", *engine_record(asked.engine, manifest))
        if asked.trial and manifest is not None:

            def tell(result: Result) -> None:
                say(result)
                found.add("Trial", result)

            try:
                run_trial(
                    asked.engine,
                    manifest,
                    start_timeout=asked.start_timeout,
                    budget=clock,
                    tell=tell,
                )
            except KeyboardInterrupt:
                tell(Result("whole trial", "fail", "interrupted: what follows was not tried"))
    if device is not None:
        found.add("Recommended", recommendation(device))
