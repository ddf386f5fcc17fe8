"""What Triton's endpoint ``/metrics`` shows, and when it shows all that has happened."""

from __future__ import annotations

import re
import time
import urllib.request

from gemma4_runtime.metrics.publisher import AT_REST, INTERVAL_S

from gemma4_testing.servers.served import Served

__all__ = ["Values", "scrape", "settled", "value"]

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_UPDATED = "gemma4_last_update_timestamp_seconds"
_TURNS = AT_REST + 3
"""Updates that begin later than an event, until one with all histograms has ended for certain: the
first may find the event's values, AT_REST find none, and the next shows that those have ended; one
more, since preprocessing updates by a clock of its own."""

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""By a sample's name and labels."""


def scrape(server: Served) -> Values:
    """Every sample by its own name: prometheus_client's parser renames counters."""
    url = f"http://127.0.0.1:{server.metrics}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            text = reply.read().decode()
    except OSError as error:
        raise AssertionError(f"{url}: {error}; the server's log:\n{server.text[-5000:]}") from None
    return {
        (name, frozenset(_LABEL.findall(labels))): float(number)
        for name, labels, number in _SAMPLE.findall(text)
    }


def value(found: Values, name: str, **labels: str) -> float:
    """Return a sample's value; 0 where there is none, as of a counter that has counted nothing."""
    return found.get((name, frozenset(labels.items())), 0.0)


def settled(server: Served, timeout: float = 90.0) -> Values:
    """Return the samples when all that happened before this call is in them.

    The engine step says when its last update began; an update has ended when the next one began.
    Preprocessing updates by a clock of its own and says no time, so nothing of ours may have
    changed either while the engine made that many updates. The quality gate's own counters go on by
    themselves, and are not looked at."""
    called, end = time.time(), time.monotonic() + timeout
    updates: set[float] = set()
    last: Values = {}
    while len(updates) < _TURNS:
        assert time.monotonic() < end, f"the metrics do not come to rest within {timeout} s"
        found = scrape(server)
        ours = {key: number for key, number in found.items() if _is_counted(key[0])}
        if ours != last:
            updates.clear()
            last = ours
        updated = value(found, _UPDATED)
        if updated > called:
            updates.add(updated)
        time.sleep(INTERVAL_S / 5)
    return found


def _is_counted(name: str) -> bool:
    if name.startswith("gemma4_quality_gate_"):
        return False
    return name.startswith("gemma4_") and name.endswith(("_total", "_bucket", "_sum", "_count"))
