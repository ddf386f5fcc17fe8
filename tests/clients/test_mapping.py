"""map: order, how many at once, errors, progress, an early end."""

from __future__ import annotations

import itertools
import json
import threading

import pytest
from gemma4_client import Gemma4Error, InvalidRequestError
from gemma4_testing.fakes.both_clients import KINDS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, http_server, server_of

EVEN = Script([chunk(0, "stop", "even")])
BAD = Script(error="INVALID_ARGUMENT: x: bad")


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_progress(kind: str) -> None:
    """The fake answers in the order of arrival; the client's order is that of the prompts."""
    done = []
    scripts = [Script([chunk(0, "stop", str(i))]) for i in range(12)]
    with server_of("http", *scripts) as (url, seen), client_of(kind, url) as client:
        answers = client.map(
            [f"q{i}" for i in range(12)], concurrency=4, max_tokens=3,
            progress=lambda n, total: done.append((n, total)),
        )  # fmt: skip
    asked = [json.loads(body["messages"])[0]["content"] for body in seen.bodies]
    by_prompt = {prompt: str(i) for i, prompt in enumerate(asked)}
    assert [a.text for a in answers] == [by_prompt[f"q{i}"] for i in range(12)]
    assert done == [(i, 12) for i in range(1, 13)]
    assert all(body["max_tokens"] == 3 and body["stream"] is False for body in seen.bodies)


@pytest.mark.parametrize("kind", KINDS)
def test_never_more_at_once(kind: str) -> None:
    hang = itertools.repeat(Script([chunk(0)], hang=True))
    with http_server(hang) as (address, seen), client_of(kind, f"http://{address}") as client:
        results = []

        def run() -> None:
            results.append(
                client.map((str(i) for i in range(9)), concurrency=3, stream=True, errors="return")
            )

        thread = threading.Thread(target=run)
        thread.start()
        while seen.count < 3:
            pass
        assert not thread.join(0.2) and seen.count == 3
        seen.gone.set()
        thread.join(20)
    assert [type(r).__name__ for r in results[0]] == ["StreamOrderError"] * 9
    assert seen.count == 9


@pytest.mark.parametrize("kind", KINDS)
def test_errors_in_their_places(kind: str) -> None:
    with server_of("grpc", EVEN, BAD, EVEN) as (url, _), client_of(kind, url) as client:
        found = client.map(["a", "b", "c"], concurrency=1, errors="return")
    assert [f if isinstance(f, Gemma4Error) else f.text for f in found][::2] == ["even", "even"]
    assert isinstance(found[1], InvalidRequestError)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_error_ends_it(kind: str) -> None:
    with server_of("grpc", EVEN, BAD, EVEN) as (url, seen), client_of(kind, url) as client:
        with pytest.raises(InvalidRequestError):
            client.map((str(i) for i in itertools.count()), concurrency=2)
        assert seen.count < 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be(kind: str) -> None:
    with client_of(kind, "127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="concurrency=0"):
            client.map(["a"], concurrency=0)
        with pytest.raises(ValueError, match="errors='ignore'"):
            client.map(["a"], errors="ignore")
        with pytest.raises(ValueError, match="tempr"):
            client.map(["a"], tempr=1)
        assert client.map([]) == []
