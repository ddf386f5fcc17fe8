"""What the checks of a trial share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gemma4_client import Client, Gemma4Error, Stream, UnavailableError
from gemma4_runtime.manifest import Manifest

from gemma4_serve.doctor.trial.server import TrialServer

__all__ = ["MOST_QUEUED", "REQUEST_S", "TEXT", "Trial", "common"]

TEXT = "The quick brown fox jumps over the lazy dog. "
"""Prompts are made of it: nothing of a user's is in a trial."""
MOST_QUEUED = 16
"""Requests that may wait in a trial: few, so that an overload ends soon."""
REQUEST_S = 120.0
"""Seconds that one request of a trial has."""


@dataclass
class Trial:
    """``folder``: of the engine. ``queue``: requests that may wait. ``load_s``: how long the first
    start took. ``clients`` are those that are open, which the end of a check closes."""

    folder: Path
    manifest: Manifest
    server: TrialServer
    queue: int
    load_s: float = 0.0
    clients: list[Client] = field(default_factory=list)

    def client(self) -> Client:
        """Return a new client, which sends everything once unless the server refuses it."""
        client = Client(self.server.url, breaker=None)
        self.clients.append(client)
        return client

    def impatient(self) -> Client:
        """Return a new client that does not try again."""
        client = Client(self.server.url, retry=None, breaker=None)
        self.clients.append(client)
        return client

    def hang_up(self) -> None:
        """Close every client, which ends its requests."""
        while self.clients:
            self.clients.pop().close()

    @property
    def long(self) -> int:
        """Tokens of an answer that is still running when we look."""
        return min(512, self.manifest.limits.max_total_tokens // 2)

    @property
    def room(self) -> int:
        """Requests that run and wait at once in the trial's server."""
        return self.manifest.limits.slots + self.queue

    def running_stream(self, client: Client, text: str = TEXT) -> Stream:
        """Return a long stream."""
        return client.generate(
            text, max_tokens=self.long, min_tokens=self.long, temperature=0.0, timeout=REQUEST_S
        )

    def outcome(self, client: Client, text: str, tokens: int) -> str:
        """Ask once: "served", "refused", or the error."""
        try:
            client.generate(
                text, max_tokens=tokens, min_tokens=tokens, temperature=0.0, timeout=REQUEST_S
            ).result()
        except UnavailableError:
            return "refused"
        except Gemma4Error as error:
            return str(error)
        return "served"


def common(ids: list[int], wanted: list[int]) -> int:
    """Return the length of the common beginning."""
    for count, (one, other) in enumerate(zip(ids, wanted, strict=False)):
        if one != other:
            return count
    return min(len(ids), len(wanted))
