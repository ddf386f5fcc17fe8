"""What is cached, under which key, for how long, and by how many."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gemma4_client import Cache
from gemma4_client.cache import cache_key, cacheable, repeatable
from gemma4_client.identity import IDENTITY_TTL_S, Identity
from gemma4_client.request import chat_request
from gemma4_testing.fakes.fake_triton import deltas


@pytest.mark.parametrize(
    ("options", "sure"),
    [
        ({}, False),
        ({"temperature": 0.5}, False),
        ({"top_k": 5}, False),
        ({"temperature": 0.0}, True),
        ({"temperature": 0}, True),
        ({"top_k": 1}, True),
        ({"random_seed": 0}, True),
    ],
)
def test_only_the_deterministic(options: dict[str, float], sure: bool) -> None:
    assert cacheable(chat_request("hi", options)) is sure


@pytest.mark.parametrize(
    ("options", "runtime", "again"),
    [
        ({"temperature": 0}, "tensorrt_llm", True),
        ({"top_k": 1, "random_seed": 3}, "tensorrt_llm", True),
        ({"random_seed": 3}, "tensorrt_llm", False),
        ({"random_seed": 3}, "", False),
        ({"random_seed": 3}, "llama_cpp", True),
        ({"random_seed": 3}, "synthetic", True),
    ],
)
def test_a_seed_counts_where_the_runtime_repeats_it(
    options: dict[str, float], runtime: str, again: bool
) -> None:
    assert repeatable(chat_request("hi", options), runtime) is again


@pytest.mark.parametrize(("runtime", "kept"), [("llama_cpp", True), ("tensorrt_llm", False)])
def test_seeded_answers_of_a_server(
    runtime: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from gemma4_client import Client
    from gemma4_testing.fakes.fake_triton import Script, server_of, whole

    cache = Cache(tmp_path)
    with (
        server_of("grpc", Script(whole()), Script(whole())) as (url, _),
        Client(url, cache=cache) as client,
    ):
        info = replace(client.server_info(), runtime=runtime)
        monkeypatch.setattr(client, "server_info", lambda: info)
        for _ in range(2):
            answer = client.chat("hi", random_seed=3).result()
            assert answer.text == "hello!"
        assert answer.cached is kept
    cache.close()


def test_the_key_holds_what_matters() -> None:
    base = {"temperature": 0.0, "max_tokens": 5}

    def key(text: str = "hi", engine: str = "e", **options: Any) -> str:
        return cache_key(chat_request(text, base | options), engine)

    assert key() == key() == key(stream=False) == key(timeout_ms=5)
    others = [
        key("ho"), key(engine="f"), key(max_tokens=6), key(random_seed=1), key(regex="a"),
        key(enable_thinking=True), key(return_log_probs=True), key(stop_words=["a"]),
        key(stop_words=["b"]),
    ]  # fmt: skip
    assert len({key(), *others}) == 1 + len(others)


def test_round_trip_and_counts(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.get("k") is None
    cache.put("k", deltas("龙"))
    assert cache.get("k") == deltas("龙")
    assert (cache.hits, cache.misses, len(cache)) == (1, 1, 1)
    cache.clear()
    assert cache.get("k") is None
    cache.close()


def test_age(tmp_path: Path) -> None:
    cache = Cache(tmp_path, max_age=1e-6)
    cache.put("k", deltas())
    assert cache.get("k") is None
    cache.close()


def test_size(tmp_path: Path) -> None:
    cache = Cache(tmp_path, max_bytes=1 << 20)
    for index in range(100):
        cache.put(str(index), deltas("x" * 50_000))
    assert cache.bytes_on_disk < (1 << 20) + 200_000
    assert cache.get("99") is not None
    assert cache.get("0") is None
    cache.close()


def test_what_another_version_wrote_is_a_miss(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for value in (b"not json", b"[]", b'[{"text": "x"}]', "a string", 5):
        cache._disk.set("k", value)
        assert cache.get("k") is None
    cache.put("half", deltas(finish=""))
    assert cache.get("half") is None
    cache.close()


def test_a_broken_disk_is_a_miss_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    cache.put("k", deltas())
    cache.close()
    (tmp_path / "cache.db").write_bytes(b"no database " * 1000)
    for name in ("cache.db-wal", "cache.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with caplog.at_level(logging.WARNING, "gemma4_client"):
        assert cache.get("k") is None
        cache.put("k", deltas())
    assert "cannot read" in caplog.text and "cannot write" in caplog.text


def test_bounds_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes=5"):
        Cache(tmp_path, max_bytes=5)
    with pytest.raises(ValueError, match="max_age=0"):
        Cache(tmp_path, max_age=0)


WRITER = """
import sys
sys.path.insert(0, "testing")
from gemma4_testing.fakes.fake_triton import deltas
from gemma4_client import Cache
cache, me = Cache(sys.argv[1]), sys.argv[2]
for i in range(40):
    cache.put(f"{me}-{i}", deltas(f"{me}-{i}"))
    cache.put("shared", deltas("shared"))
    assert cache.get("shared") == deltas("shared")
"""


def test_many_processes(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(me)]) for me in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    cache = Cache(tmp_path)
    assert len(cache) == 3 * 40 + 1
    assert all(cache.get(f"{me}-{i}") == deltas(f"{me}-{i}") for me in range(3) for i in range(40))
    cache.close()


def test_the_engine_is_asked_for_again() -> None:
    now = 0.0
    identity = Identity(lambda: now)
    assert identity.get() is None
    identity.set("a")
    now = IDENTITY_TTL_S
    assert identity.get() == "a"
    now += 0.1
    assert identity.get() is None
    identity.set("b")
    identity.forget()
    assert identity.get() is None


def test_a_lost_server_is_asked_again_who_it_is(tmp_path: Path) -> None:
    """The chat is refused, so the identity is forgotten; the retry is of the same request."""
    from gemma4_client import Client
    from gemma4_testing.fakes.fake_triton import Script, server_of, whole

    cache = Cache(tmp_path)
    with (
        server_of("grpc", Script(error="UNAVAILABLE: draining"), Script(whole())) as (url, _),
        Client(url, cache=cache) as client,
    ):
        assert client.chat("hi", top_k=1).result().text == "hello!"
        assert client._identity.get() is None
        again = client.chat("hi", top_k=1).result()
        assert again.cached and client._identity.get() == "e1"
    cache.close()


def test_no_server_is_an_error_when_the_stream_is_read(tmp_path: Path) -> None:
    from gemma4_client import Client, UnavailableError

    with Client("127.0.0.1:1", cache=Cache(tmp_path), retry=None) as client:
        stream = client.chat("hi", top_k=1)
        with pytest.raises(UnavailableError):
            stream.result()
