"""Users of a stack: short requests one after another, whatever happens to the stack meanwhile."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from checks import get

__all__ = ["Seen", "Users"]

EVERY_S = 0.5
PATIENCE_S = 20.0
"""Seconds that a user waits for an answer."""
IN_A_ROW = 4
"""Answers after which it is well again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """``what`` a request that was ``sent`` then (monotonic seconds) came to: "200", a status and
    the error's code, or why there was no answer. ``took`` seconds."""

    sent: float
    what: str
    took: float


class Users(threading.Thread):
    """Ask ``url`` every half second until ``over``, each on a connection of its own."""

    def __init__(self, url: str, body: dict, context: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self._url, self._data, self._context = url, json.dumps(body).encode(), context
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        self.seen: list[Seen] = []

    def run(self) -> None:
        while not self._over.wait(EVERY_S):
            self._pool.submit(self._ask)

    def close(self) -> None:
        self._over.set()
        self.join()
        self._pool.shutdown()

    def _ask(self) -> None:
        sent = time.monotonic()
        status, text = get(self._url, self._data, PATIENCE_S, self._context,
                           **{"Content-Type": "application/json"})  # fmt: skip
        self.seen.append(Seen(sent, told(status, text), time.monotonic() - sent))

    def since(self, begin: float) -> list[Seen]:
        """Return what was sent after ``begin``, in that order."""
        return sorted((s for s in list(self.seen) if s.sent >= begin), key=lambda s: s.sent)

    def wait_well(self, begin: float, seconds: float) -> float | None:
        """Wait until some requests in a row, sent after ``begin``, were answered. Return the seconds
        from ``begin`` to the first one of them, None if that was not within ``seconds``."""
        while time.monotonic() - begin < seconds + PATIENCE_S:
            sent = self.since(begin)
            for at in range(len(sent) - IN_A_ROW + 1):
                row = sent[at : at + IN_A_ROW]
                if all(s.what == "200" for s in row) and row[0].sent - begin <= seconds:
                    return row[0].sent - begin
            time.sleep(0.2)
        return None

    def failures(self, begin: float) -> Counter[str]:
        return Counter(s.what for s in self.since(begin) if s.what != "200")


def told(status: int, text: str) -> str:
    """Return a status and an error's code as one word or two."""
    if status == 200:
        return "200"
    if status == 0:
        for sign in ("certificate has expired", "timed out", "refused", "reset"):
            if sign in text:
                return f"no answer: {sign}"
        return f"no answer: {text[:80]}"
    try:
        return f"{status} {json.loads(text)['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{status} {text[:80]}"
