"""Feeds: the chunks of many streams of one client in one response.

A response costs Triton and the client about the same with one chunk in it as with a hundred
(docs/performance.md), and Triton's gRPC keeps what it sent until the request ends. So a client with
many streams polls a feed: a poll is a request of its own, with so many responses as it asks for,
each of what all the streams have by then. The client polls again when it has read them. So one that
lags gets more tokens at a time, and nothing piles up on the way to it.

A stream names its feed and a number in it. While nobody polls that feed (no poll came yet, they
went to another server, the client is gone), the stream's chunks go their own way.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock
from typing import Protocol

from gemma4_runtime.errors import invalid, unavailable
from gemma4_runtime.output.render import ChunkText, pack_many
from gemma4_runtime.server.stream import Place, Stream

__all__ = ["Feeds", "Poll", "parse_place"]

PACE_S = 0.004
"""Between two responses of a feed, so that chunks of several streams come to share one. The first
after a pause does not wait."""
_GONE_S = 1.0
"""Without a poll for so long a feed has ended."""
_CHECK_S = 0.4
_MOST_POLLS = 16
_MOST_FEEDS = 1000

_MOST_RESPONSES = 64

_PLACE = re.compile(r"([0-9a-f]{32,64})/([0-9]{1,15})")


def parse_place(text: str, *, field: str) -> Place:
    """KEY/NUMBER. Raises :class:`~gemma4_runtime.errors.RequestError` that names ``field``. A key
    that could be guessed would show a client the answers of another."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise invalid(
            field, f"{text[:80]!r} must be 32 to 64 random hexadecimal digits, a slash and a number"
        )
    return Place(found[1], int(found[2]))


class Poll(Protocol):
    """A request that waits for the feed's next responses. Used by one thread."""

    def answer(self, data: bytes, *, final: bool) -> None: ...

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
        self._bundle: list[tuple[Stream, int, ChunkText]] = []
        self._last_sent = float("-inf")
        self._last_check = now

    def patience(self, now: float) -> float | None:
        """Seconds until it is to be looked at; None when only a poll or news change anything."""
        if not self.polls or not (self.armed or self.news):
            return None
        return max(self._last_sent + PACE_S - now, 0.0)

    def take(self) -> list[Stream]:
        """Streams that have something."""
        self.armed = False  # before the look, so that none comes after it without a word
        found = []
        while self.news:
            found.append(self.news.popleft())
        return found

    def open(self, now: float) -> bool:
        """Whether chunks that are added now will be sent in this turn."""
        return bool(self.polls) and now >= self._last_sent + PACE_S

    def add(self, stream: Stream, text: ChunkText) -> None:
        """``stream`` names this feed."""
        assert stream.place is not None
        self._bundle.append((stream, stream.place.number, text))

    def flush(self, now: float) -> list[Stream]:
        """Send what was added. Returns the streams that have lost a chunk by that."""
        if not self._bundle:
            return []
        bundle, self._bundle = self._bundle, []
        self._last_sent = now
        self.armed = True
        try:
            data = pack_many([(number, text) for _, number, text in bundle])
            poll, left = self.polls.popleft()
            poll.answer(data, final=left == 1)
            if left > 1:
                self.polls.appendleft((poll, left - 1))
        except Exception:  # noqa: BLE001 - one broken client must not end the others
            return [stream for stream, _, _ in bundle]
        return []

    def gone(self, now: float) -> bool:
        """Whether the client has left. Asks the server now and then."""
        if not self.polls:
            return now - max(self.polled, self._last_sent) >= _GONE_S
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
            with suppress(Exception):  # the client is gone
                self.polls.popleft()[0].answer(pack_many([]), final=True)


class Feeds:
    """The feeds of one emitter. ``wake`` is called when a poll comes, in the thread it came in."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = Lock()
        self._feeds: dict[str, Feed] = {}
        self._draining = False

    # -- called from any thread -----------------------------------------------------------------

    def poll(self, key: str, poll: Poll, responses: int, now: float) -> None:
        """``poll`` takes so many responses. Raises
        :class:`~gemma4_runtime.errors.RequestError`."""
        if not 1 <= responses <= _MOST_RESPONSES:
            raise invalid("feed", f"{responses} responses must be 1 to {_MOST_RESPONSES}")
        with self._lock:
            feed = self._feeds.get(key)
            if feed is None:
                if len(self._feeds) >= _MOST_FEEDS:
                    raise unavailable(f"{_MOST_FEEDS} clients poll feeds already; retry later")
                feed = self._feeds[key] = Feed(now)
            if len(feed.polls) >= _MOST_POLLS:
                raise invalid("feed", f"{_MOST_POLLS} polls of it wait already; wait for an answer")
            feed.polled = now
            feed.polls.append((poll, responses))
        self._wake()

    def drain(self) -> None:
        """From now on, end a feed when it has no stream."""
        self._draining = True

    def news(self, stream: Stream) -> bool:
        """``stream`` has something. True when the emitter will see that without being woken."""
        feed = self.of(stream)
        if feed is None:
            return False
        feed.news.append(stream)
        return feed.armed

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def of(self, stream: Stream) -> Feed | None:
        """The feed that carries ``stream`` now."""
        place = stream.place
        return None if place is None else self._feeds.get(place.feed)

    # -- the emitter thread ---------------------------------------------------------------------

    def due(self, now: float) -> list[Stream]:
        """Streams that have waited for a feed that can send now."""
        return [stream for feed in self._all() if feed.open(now) for stream in feed.take()]

    def patience(self, now: float) -> float | None:
        """Seconds until :meth:`due` is to be called unasked; None for never."""
        waits = [feed.patience(now) for feed in self._all()]
        return min((wait for wait in waits if wait is not None), default=None)

    def flush(self, now: float) -> list[Stream]:
        """Send what this turn has added. Returns the streams that have lost a chunk by that."""
        return [stream for feed in self._all() for stream in feed.flush(now)]

    def tick(self, now: float, streams: Iterable[Stream]) -> list[Stream]:
        """End the feeds whose client has gone, and idle ones in a drain. ``streams`` are all that
        are open. Returns those that waited for such a feed."""
        freed: list[Stream] = []
        used = {s.place.feed for s in streams if s.place} if self._draining else set()
        for key, feed in list(self._feeds.items()):
            if feed.gone(now) or (self._draining and key not in used):
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
