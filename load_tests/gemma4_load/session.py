"""Carries out a plan: levels one after another, results kept as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from gemma4_client.wrong_port import LOAD, wrong_port

from gemma4_load.drive.groups import ungrouped
from gemma4_load.drive.level import Level, LevelResult
from gemma4_load.drive.run import LevelRun
from gemma4_load.drive.search import highest, voted
from gemma4_load.errors import LoadError, TargetError
from gemma4_load.load_plan import Plan
from gemma4_load.machine import machine
from gemma4_load.report.files import Results
from gemma4_load.report.page import page
from gemma4_load.report.summary import summarize
from gemma4_load.server_metrics import Scraper
from gemma4_load.targets import Target, connect
from gemma4_load.workloads.base import Workload

__all__ = ["Session"]

_SCHEMA = 1
"""Version of ``report.json``."""


class Session:
    """``watch`` is given every level's run as it starts, and what it returns is cancelled at its
    end; ``told`` every level's summary. :attr:`report` holds what has been measured so far."""

    def __init__(
        self,
        plan: Plan,
        *,
        watch: Callable[[LevelRun], asyncio.Task[None] | None],
        told: Callable[[dict[str, Any]], None],
    ) -> None:
        self._plan = plan
        self._watch = watch
        self._told = told
        self._results: Results | None = None
        self._run: LevelRun | None = None
        self.report: dict[str, Any] = {}

    async def run(self) -> dict[str, Any]:
        """Run all levels. Raises :class:`LoadError` when it cannot begin, or when results cannot be
        written."""
        plan = self._plan
        target = connect(plan.url, timeout=plan.timeout, model=plan.model)
        try:
            server, workload = await self._begin(target)
            self._results = Results(plan.out, force=plan.force)
            self.report = self._head(server)
            if plan.search is None:
                for level in plan.levels:
                    summary = await self._level(target, workload, level)
                    if summary["stopped"]:
                        break
            else:
                await self._search(target, workload)
            self.report["complete"] = not any(x["stopped"] for x in self.report["levels"])
            self._write()
        finally:
            await target.close()
            if self._results is not None:
                self._results.close()
        return self.report

    def stop(self, why: str) -> bool:
        """Send no new requests; what is under way is waited for. Return False where none has been
        sent yet, and nothing was stopped."""
        if self._run is None:
            return False
        self._run.stop(why)
        return True

    async def _begin(self, target: Target) -> tuple[dict[str, Any], Workload]:
        try:
            server = await target.describe()
            words = await target.words()
        except TargetError as error:
            # In a thread: Ctrl-C is heard while it asks there.
            advice = await asyncio.to_thread(wrong_port, self._plan.url, LOAD)
            message = str(error) if advice is None else f"{advice} ({error})"
            raise LoadError(f"--url {self._plan.url}: {message}") from None
        return server, self._plan.workload.make(words)

    def _head(self, server: dict[str, Any]) -> dict[str, Any]:
        plan = self._plan
        spec = {f.name: _plain(getattr(plan.workload, f.name)) for f in fields(plan.workload)}
        return {
            "tool": "gemma4 load",
            "schema": _SCHEMA,
            "version": version("gemma4-triton"),
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "url": plan.url,
            "server": server,
            "client": machine(),
            "workload": spec,
            "seed": plan.base.seed,
            "slos": {slo.metric.name: slo.limit for slo in plan.slos},
            "max_client_lag": plan.max_client_lag,
            "levels": [],
            "complete": False,
        }

    async def _level(self, target: Target, workload: Workload, level: Level) -> dict[str, Any]:
        results = self._results
        assert results is not None
        run = self._run = LevelRun(
            target,
            workload,
            level,
            lambda record: results.add(level.label, record, warmup=level.warmup),
        )
        display = self._watch(run)
        began = time.time()
        try:
            with ungrouped():
                async with Scraper(self._plan.metrics_url) as scraper:
                    result = await run.run()
        finally:
            if display is not None:  # its line is gone before the figures are printed
                display.cancel()
                await asyncio.wait((display,))
        return self._keep(result, scraper.result(), began)

    def _keep(self, result: LevelResult, server: dict[str, Any], began: float) -> dict[str, Any]:
        plan = self._plan
        summary = summarize(
            result, plan.slos, max_client_lag=plan.max_client_lag, server=server
        ) | {"began": began}
        self.report["levels"].append(summary)
        self._told(summary)
        self._write()
        return summary

    async def _search(self, target: Target, workload: Workload) -> None:
        plan, search = self._plan, self._plan.search
        assert search is not None
        trial = voted(
            highest(search.lowest, search.limit, whole=search.over == "concurrency"), search.runs
        )
        load, run = next(trial)
        try:
            while True:
                level = search.level(plan.base, load, run)
                summary = await self._level(target, workload, level)
                if summary["stopped"].startswith("interrupted"):
                    return
                share = summary["run"]["attainment"]
                kept = share is not None and share >= search.attainment and summary["valid"]
                load, run = trial.send(kept)
        except StopIteration as over:
            self.report["search"] = {
                "over": search.over,
                "attainment": search.attainment,
                "runs": search.runs,
                "highest": over.value,
            }

    def _write(self) -> None:
        assert self._results is not None
        self._results.report(self.report)
        self._results.page(page(self.report))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | dict) or value is None else str(value)
