"""Feeds: the chunks of many streams of one client in one response.

A response costs Triton and the client about the same with one chunk in it as with a hundred
(docs/performance.md), and Triton's gRPC keeps what it sent until the request ends. So a client with
many streams polls a feed: a poll is a request of its own, with so many responses as it asks for,
each of what all the streams have by then. The client polls again when it has read them. So one that
lags gets more tokens at a time, and nothing piles up on the way to it.

A stream names its feed and a number in it. While nobody polls that feed (no poll came yet, they
went to another server, the client is gone), the stream's chunks go their own way.

Before Triton closes, all feeds end. Triton 2.51 answers a poll that comes later with an error, and
writes that without a look whether a response is just being written to the same call: two writes at
once are a failed assertion of gRPC, which ends Triton with all answers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.messages import Chunk
from gemma4_runtime.output.render import pack_many, render
from gemma4_runtime.server.streams.stream import Place, Stream

__all__ = ["Entry", "Feeds", "Poll", "parse_place"]

PACE_S = 0.004
"""Between two responses of a feed, so that chunks of several streams come to share one. The first
after a pause does not wait."""
_GONE_S = 1.0
"""Without a poll for so long a feed has ended."""
_GONE_DRAINING_S = 0.15
"""The same in a drain: all feeds end soon then, so nothing is worth waiting for."""
_CHECK_S = 0.4
"""Seconds between two questions whether the client of a feed has left."""
_MOST_POLLS = 16
"""Polls of a feed that may wait."""
_MOST_FEEDS = 1000
"""Clients that may poll feeds at a time."""

_MOST_RESPONSES = 64
"""Responses that one poll may ask for."""

_PLACE = re.compile(r"([0-9a-f]{32,64})/([0-9]{1,15})")


def parse_place(text: str, *, field: str) -> Place:
    """Parse KEY/NUMBER. Raises :class:`~gemma4_runtime.errors.RequestError` that names ``field``. A
    key that could be guessed would show a client the answers of another."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise invalid(
            Code.INVALID_VALUE,
            field,
            f"{text[:80]!r} must be 32 to 64 random hexadecimal digits, a slash and a number",
        )
    return Place(found[1], int(found[2]))


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk that waits for the feed's next response; ``final`` when it is the stream's last."""

    stream: Stream
    chunk: Chunk
    final: bool


class Poll(Protocol):
    """A request that waits for the feed's next responses. Used by one thread."""

    def answer(self, data: bytes, *, final: bool) -> None: ...

    def fail(self, error: RequestError) -> None:
        """End the poll with an error."""

    def client_gone(self) -> bool: ...


class Feed:
    """Of the emitter's thread, but for ``polls`` and ``news``, to which any may append.

    ``news`` are streams that have something, some of them twice. ``armed`` says that the emitter
    will look at the feed in any case, so that they need not wake it: with 256 streams of 50
    tokens/s that is 250 turns a second and not 12,800."""

    def __init__(self, now: float) -> None:
        self.polls: deque[tuple[Poll, int]] = deque()  # and how many responses it takes
        self.news: deque[Stream] = deque()
        self.armed = False
        self.polled = now
        self._bundle: list[Entry] = []
        self._last_sent = float("-inf")
        self._last_check = now

    def patience(self, now: float) -> float | None:
        """Return the seconds until it is to be looked at; None when only a poll or news change
        anything."""
        if not self.polls or not (self.armed or self.news):
            return None
        return max(self._last_sent + PACE_S - now, 0.0)

    def take(self) -> list[Stream]:
        """Take the streams that have something."""
        self.armed = False  # before the look, so that none comes after it without a word
        found = []
        while self.news:
            found.append(self.news.popleft())
        return found

    def open(self, now: float) -> bool:
        """Return whether chunks that are added now will be sent in this turn."""
        return bool(self.polls) and now >= self._last_sent + PACE_S

    def add(self, entry: Entry) -> None:
        """Add a stream that names this feed."""
        self._bundle.append(entry)

    def flush(self, now: float) -> list[tuple[Entry, bool]]:
        """Send what was added. Returns it, with whether it was sent. A poll that cannot be answered
        is dropped; the next one may be healthy."""
        if not self._bundle:
            return []
        bundle, self._bundle = self._bundle, []
        self._last_sent = now
        self.armed = True
        try:
            data = pack_many([(_number(entry.stream), render(entry.chunk)) for entry in bundle])
        except Exception:  # noqa: BLE001 - sent alone, the one at fault ends with its own error
            return [(entry, False) for entry in bundle]
        poll, left = self.polls.popleft()
        try:
            poll.answer(data, final=left == 1)
        except Exception as error:  # noqa: BLE001 - one broken client must not end the others
            with suppress(Exception):
                poll.fail(
                    RequestError(
                        Code.DELIVERY_FAILED,
                        f"sending a feed's response to the server failed: {error}",
                    )
                )
            return [(entry, False) for entry in bundle]
        if left > 1:
            self.polls.appendleft((poll, left - 1))
        return [(entry, True) for entry in bundle]

    def gone(self, now: float, *, patience: float) -> bool:
        """Return whether the client has left: it did not poll for ``patience`` seconds, or the
        server says so, which is asked now and then."""
        if not self.polls:
            return now - max(self.polled, self._last_sent) >= patience
        if now - self._last_check < _CHECK_S:
            return False
        self._last_check = now
        try:
            return self.polls[0][0].client_gone()
        except Exception:  # noqa: BLE001 - a poll that cannot be asked cannot be answered
            return True

    def close(self) -> None:
        """Answer what still waits with an empty bundle."""
        while self.polls:
            _end(self.polls.popleft()[0])


def _end(poll: Poll) -> None:
    """Answer a poll with an empty bundle, which ends its feed."""
    with suppress(Exception):  # the client is gone
        poll.answer(pack_many([]), final=True)


def _number(stream: Stream) -> int:
    assert stream.place is not None
    return stream.place.number


class Feeds:
    """The feeds of one emitter. ``wake`` is called when a poll comes, in the thread it came in."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = Lock()
        self._feeds: dict[str, Feed] = {}
        self._draining = False
        self.over = False
        """Feeds are ended, and none begins."""

    # -- called from any thread -----------------------------------------------------------------

    def poll(self, key: str, poll: Poll, responses: int, now: float) -> None:
        """Take a poll for so many responses. Raises
        :class:`~gemma4_runtime.errors.RequestError`."""
        if not 1 <= responses <= _MOST_RESPONSES:
            raise invalid(
                Code.OUT_OF_RANGE,
                "feed",
                f"{responses} responses must be 1 to {_MOST_RESPONSES}",
                least=1,
                most=_MOST_RESPONSES,
            )
        with self._lock:
            over = self.over
            if not over:
                self._take(key, poll, responses, now)
        if over:
            _end(poll)
        else:
            self._wake()

    def _take(self, key: str, poll: Poll, responses: int, now: float) -> None:
        feed = self._feeds.get(key)
        if feed is None:
            if len(self._feeds) >= _MOST_FEEDS:
                raise RequestError(
                    Code.TOO_MANY_FEEDS,
                    f"{_MOST_FEEDS} clients poll feeds already; retry later",
                    details={"limit": _MOST_FEEDS},
                )
            feed = self._feeds[key] = Feed(now)
        if len(feed.polls) >= _MOST_POLLS:
            raise invalid(
                Code.FEED_FULL,
                "feed",
                f"{_MOST_POLLS} polls of it wait already; wait for an answer",
                limit=_MOST_POLLS,
            )
        feed.polled = now
        feed.polls.append((poll, responses))

    def drain(self) -> None:
        """End, from now on, a feed when it has no stream."""
        self._draining = True

    def finish(self) -> None:
        """Take no poll any more; the emitter ends those that wait."""
        with self._lock:  # what was taken before is ended in the emitter's next turn
            self.over = True
        self._wake()

    def news(self, stream: Stream) -> bool:
        """Note that ``stream`` has something. Return True when the emitter will see that without
        being woken."""
        feed = self.of(stream)
        if feed is None:
            return False
        feed.news.append(stream)
        return feed.armed

    def of(self, stream: Stream) -> Feed | None:
        """Return the feed that carries ``stream`` now."""
        place = stream.place
        return None if place is None else self._feeds.get(place.feed)

    @property
    def polled(self) -> bool:
        """There is a feed."""
        return bool(self._feeds)

    # -- the emitter thread ---------------------------------------------------------------------

    def due(self, now: float) -> list[Stream]:
        """Return the streams that have waited for a feed that can send now."""
        return [stream for feed in self._all() if feed.open(now) for stream in feed.take()]

    def patience(self, now: float) -> float | None:
        """Return the seconds until :meth:`due` is to be called unasked; None for never."""
        waits = [feed.patience(now) for feed in self._all()]
        return min((wait for wait in waits if wait is not None), default=None)

    def flush(self, now: float) -> list[tuple[Entry, bool]]:
        """Send what this turn has added. Returns it, with whether it was sent."""
        return [result for feed in self._all() for result in feed.flush(now)]

    def tick(self, now: float, streams: Iterable[Stream]) -> list[Stream]:
        """End the feeds whose client has gone, and idle ones in a drain. ``streams`` are all that
        are open. Returns those that waited for such a feed."""
        freed: list[Stream] = []
        used = {s.place.feed for s in streams if s.place} if self._draining else set()
        patience = _GONE_DRAINING_S if self._draining else _GONE_S
        for key, feed in list(self._feeds.items()):
            if feed.gone(now, patience=patience) or (self._draining and key not in used):
                self._end(key)
                freed += feed.take()
        return freed

    def close(self) -> None:
        """End all."""
        for key in list(self._feeds):
            self._end(key)

    def _all(self) -> list[Feed]:
        return list(self._feeds.values())

    def _end(self, key: str) -> None:
        with self._lock:
            feed = self._feeds.pop(key)
        feed.close()
