"""A minute of all that users do: streams, conversations, mistakes, hurry, and going away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from gemma4_testing.servers.running_gateway import MODEL

__all__ = ["KEYS", "Traffic", "key_file"]

KEYS = {"search": "key-of-search", "support": "key-of-support", "trial": "key-of-trial"}


def key_file(folder: Path) -> Path:
    """Three keys; the last may do little."""
    entries = [
        {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()}
        | ({"requests_per_minute": 3} if name == "trial" else {})
        for name, key in KEYS.items()
    ]
    path = folder / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    path.chmod(0o600)
    return path


class Traffic:
    """Users of one gateway, until ``run`` returns."""

    def __init__(self, url: str, users: int = 14) -> None:
        self._url, self._users = url, users
        self._end = 0.0

    def run(self, seconds: float) -> int:
        """Return how many requests were made."""
        self._end = time.monotonic() + seconds
        with ThreadPoolExecutor(self._users + 1) as pool:
            cut = pool.submit(self._broken_connections)
            made = sum(pool.map(self._user, range(self._users)))
            cut.result()
        return made

    def _user(self, number: int) -> int:
        pick, made = random.Random(number), 0
        key = list(KEYS.values())[number % 3 if number < 6 else number % 2]
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=self._url, timeout=30, verify=False, headers=headers) as http:
            while time.monotonic() < self._end:
                with contextlib.suppress(httpx.TransportError):  # a cut stream is an answer too
                    pick.choices(
                        (self._stream, self._whole, self._mistake, self._leave),
                        (6, 3, 2, 1),
                    )[0](http, pick)
                made += 1
                time.sleep(pick.uniform(0, 0.3))
        return made

    def _body(self, pick: random.Random, **more: object) -> dict[str, object]:
        text = "You answer in short sentences. " * 12 + f"Question {pick.randrange(40)}: why?"
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
        return body | {"max_tokens": pick.choice((8, 30, 90)), "temperature": 0} | more

    def _stream(self, http: httpx.Client, pick: random.Random) -> None:
        body = self._body(pick, stream=True)
        with http.stream("POST", "/v1/chat/completions", json=body) as reply:
            for _ in reply.iter_lines():
                pass

    def _whole(self, http: httpx.Client, pick: random.Random) -> None:
        http.post("/v1/chat/completions", json=self._body(pick))

    def _mistake(self, http: httpx.Client, pick: random.Random) -> None:
        wrong = pick.choice(({"max_tokens": -1}, {"model": "other"}, {"temperature": 9}, {}))
        headers = {} if wrong else {"authorization": "Bearer nobody"}
        http.post("/v1/chat/completions", json=self._body(pick) | wrong, headers=headers)

    def _leave(self, http: httpx.Client, pick: random.Random) -> None:
        body = self._body(pick, stream=True, max_tokens=400)
        with http.stream("POST", "/v1/chat/completions", json=body) as reply:
            for at, _ in enumerate(reply.iter_lines()):
                if at > 8:
                    return

    def _broken_connections(self) -> None:
        url = httpx.URL(self._url)
        while time.monotonic() < self._end:
            with socket.create_connection((url.host, url.port or 80), timeout=5) as raw:
                raw.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
                raw.recv(1000)
            time.sleep(3)
