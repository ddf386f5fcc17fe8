"""What the server itself says, scraped beside the load."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from gemma4_client.concurrency.timeouts import TIMED_OUT
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Scraper", "parse"]

_INTERVAL_S = 1.0
"""Seconds between two readings of the server's metrics."""


def parse(text: str) -> dict[str, tuple[str, float]]:
    """Return (type, value) of every counter and gauge by its name with labels. Raises
    :class:`ValueError`."""
    found: dict[str, tuple[str, float]] = {}
    for family in text_string_to_metric_families(text):
        if family.type not in ("counter", "gauge"):
            continue
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = (
                family.type,
                sample.value,
            )
    return found


class Scraper:
    """Reads ``url`` (Prometheus text) every second while it is entered; an empty one reads nothing.
    What cannot be read is told in the result, and disturbs nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: list[dict[str, tuple[str, float]]] = []
        self._error = ""
        self._task: asyncio.Task[None] | None = None

    async def _once(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self._url) as response:
                response.raise_for_status()
                self._seen.append(parse(await response.text()))
        except (aiohttp.ClientError, *TIMED_OUT, ValueError) as error:
            self._error = f"{type(error).__name__}: {error}"

    async def _watch(self) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                while True:
                    await self._once(session)
                    await asyncio.sleep(_INTERVAL_S)
            finally:
                await self._once(session)

    async def __aenter__(self) -> Scraper:
        if self._url:
            self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def result(self) -> dict[str, Any]:
        """Return the counters that grew, by how much; gauges that moved or are not 0, mean and
        maximum."""
        if not self._url:
            return {}
        found: dict[str, Any] = {"url": self._url, "counters": {}, "gauges": {}}
        if not self._seen:
            return found | {"error": self._error or "not read"}
        for name, (kind, last) in self._seen[-1].items():
            values = [seen[name][1] for seen in self._seen if name in seen]
            if kind == "counter" and last != values[0]:
                found["counters"][name] = last - values[0]
            elif kind == "gauge" and any(values):
                found["gauges"][name] = {"mean": sum(values) / len(values), "max": max(values)}
        return found
