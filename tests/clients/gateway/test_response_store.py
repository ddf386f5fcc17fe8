"""Stored responses: found again by their owner, bounded, and never the end of an answer."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from gemma4_gateway.errors import ApiError
from gemma4_gateway.settings import SettingsError, StoreOptions, check_store
from gemma4_gateway.store.database import Database, Kept
from gemma4_gateway.store.responses import ResponseStore
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.kept_items import kept_items
from hypothesis import given, settings
from hypothesis import strategies as st

T = TypeVar("T")
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
ANSWER: dict[str, Any] = {"type": "message", "role": "assistant", "status": "completed",
          "content": [{"type": "output_text", "text": "Yes", "annotations": []}]}  # fmt: skip


@contextmanager
def store(path: Path, **more: Any) -> Iterator[tuple[ResponseStore, list[str]]]:
    failures: list[str] = []
    names = ("responses", "bytes", "seconds")
    bounds = {name: more.pop(name) for name in names if name in more}
    made = ResponseStore(StoreOptions(path, **bounds), failed=failures.append, **more)
    try:
        yield made, failures
    finally:
        made.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def body(name: str, previous: str | None = None, text: str = "Yes") -> dict[str, Any]:
    part = ANSWER["content"][0] | {"text": text}
    output = [ANSWER | {"id": f"out_{name}", "content": [part]}]
    return {"id": name, "previous_response_id": previous, "output": output, "big": 2**70}


async def save(store: ResponseStore, name: str, previous: str | None = None, **more: Any) -> bool:
    owner = more.pop("owner", "me")
    return await store.save(
        owner, previous, [ITEM | {"id": f"in_{name}"}], body(name, previous, **more)
    )


def test_a_chain_is_the_whole_conversation(tmp_path: Path) -> None:
    async def use(kept: ResponseStore) -> None:
        assert await save(kept, "a") and await save(kept, "b", "a") and await save(kept, "c", "b")
        items = await kept.conversation("me", "c", most_bytes=10**6)
        expected = [f"{side}_{name}" for name in "abc" for side in ("in", "out")]
        assert [item["id"] for item in items] == expected
        assert [i["id"] for i in await kept.input_items("me", "b", most_bytes=10**6)] == expected[
            :3
        ]
        assert await kept.retrieve("me", "b") == body("b", "a")
        assert (await kept.item("me", "out_b")) == body("b")["output"][0]
        assert await kept.item("me", "out_x") is None
        with pytest.raises(ApiError, match="begin a new one"):
            await kept.conversation("me", "c", most_bytes=100)
        await kept.delete("me", "b")
        with pytest.raises(ApiError) as caught:
            await kept.conversation("me", "c", most_bytes=10**6)
        assert (caught.value.status, caught.value.code) == (404, "previous_response_not_found")
        assert "'b'" in caught.value.message
        for gone in (kept.retrieve("me", "b"), kept.delete("me", "b"), kept.retrieve("me", "x")):
            with pytest.raises(ApiError) as caught:
                await gone
            assert (caught.value.status, caught.value.param) == (404, "response_id")
        assert await kept.item("me", "out_b") is None

    with store(tmp_path / "s.db") as (kept, failures):
        run(use(kept))
    assert failures == []
    assert stat.S_IMODE((tmp_path / "s.db").stat().st_mode) == 0o600
    with store(tmp_path / "s.db") as (again, _):
        assert run(again.retrieve("me", "c"))["id"] == "c"


def test_nobody_finds_the_responses_of_another(tmp_path: Path) -> None:
    async def use(kept: ResponseStore) -> None:
        assert await save(kept, "a") and await save(kept, "a", owner="other", text="Theirs")
        assert (await kept.retrieve("me", "a")) == body("a")
        assert await save(kept, "b", "a")
        for work in (
            kept.retrieve("other", "b"),
            kept.delete("other", "b"),
            kept.conversation("other", "b", most_bytes=10**6),
            kept.input_items("other", "b", most_bytes=10**6),
        ):
            with pytest.raises(ApiError) as caught:
                await work
            assert caught.value.status == 404
        assert await kept.item("other", "out_b") is None

    with store(tmp_path / "s.db") as (kept, _):
        run(use(kept))


SAVES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 40)), max_size=15)


@settings(max_examples=12, deadline=None)
@given(saves=SAVES)
def test_bounds_hold_and_no_response_outlives_one_that_it_builds_on(
    tmp_path_factory: pytest.TempPathFactory, saves: list[tuple[int, int, int]]
) -> None:
    clock = [1000.0]
    options = StoreOptions(
        tmp_path_factory.mktemp("s") / "s.db", responses=6, bytes=5000, seconds=100
    )
    database = Database(options, lambda: clock[0])
    previous: list[str] = []
    for number, (back, size, wait) in enumerate(saves):
        clock[0] += wait
        before = previous[-back] if 0 < back <= len(previous) else None
        name = f"r{number}"
        there = database.save(Kept("me", name, before, b"[]", b"x" * size, (f"i{number}",)))
        assert there == (database.find("me", name) is not None)
        connection = database.open()
        rows = connection.execute("SELECT id, previous, used, bytes FROM response").fetchall()
        assert len(rows) <= 6 and sum(row[3] for row in rows) <= 5000
        assert all(row[2] >= clock[0] - 100 for row in rows)
        assert connection.execute("SELECT * FROM total").fetchone() == (
            len(rows), sum(row[3] for row in rows),
        )  # fmt: skip
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (len(rows),)
        previous.append(name)
        assert {row[1] for row in rows} - {None} <= {row[0] for row in rows}
    database.close()


def test_a_conversation_in_use_stays_whole(tmp_path: Path) -> None:
    """The turns of a conversation that goes on are kept, and others go."""
    clock = [0.0]
    database = Database(StoreOptions(tmp_path / "s.db", responses=10), lambda: clock[0])
    for turn in range(5):
        clock[0] += 1
        before = f"t{turn - 1}" if turn else None
        assert database.save(Kept("me", f"t{turn}", before, b"[]", b"{}", ()))
        for other in range(4):
            clock[0] += 1
            database.save(Kept("me", f"o{turn}{other}", None, b"[]", b"{}", ()))
    chain = database.chain("me", "t4", most_bytes=10**6)
    assert isinstance(chain, list) and len(chain) == 5
    database.close()


def test_one_that_is_too_large_is_not_stored_and_says_so(tmp_path: Path) -> None:
    with store(tmp_path / "s.db", bytes=2000) as (kept, failures):
        assert run(save(kept, "a"))
        assert not run(save(kept, "b", text="x" * 3000))
    assert len(failures) == 1 and "too large" in failures[0]


def fill_the_disk(kept: ResponseStore) -> None:
    connection = kept._database.open()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def break_the_file(kept: ResponseStore) -> None:
    connection = kept._database.open()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept._database.close()
    path = kept._database._path
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * (path.stat().st_size - 16))


def lose_the_folder(kept: ResponseStore) -> None:
    kept._database.close()
    path = kept._database._path
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("damage", [fill_the_disk, break_the_file, lose_the_folder])
def test_what_is_wrong_with_the_disk_is_told_and_fails_no_answer(
    tmp_path: Path, damage: Callable[[ResponseStore], None]
) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    with store(folder / "s.db") as (kept, failures):
        assert run(save(kept, "a"))
        damage(kept)
        assert not run(save(kept, "b", text="x" * 100_000))
        assert len(failures) == 1 and str(tmp_path) not in failures[0]
        if damage is not fill_the_disk:
            with pytest.raises(ApiError) as caught:
                run(kept.retrieve("me", "a"))
            assert (caught.value.status, caught.value.code) == (503, "store_unavailable")
        else:  # what is there can be read, and after an error the file is opened anew
            assert run(kept.retrieve("me", "a")) == body("a")
            assert run(save(kept, "c", text="x" * 100_000))


def test_a_disk_that_does_not_answer_holds_no_answer_up(tmp_path: Path) -> None:
    with store(tmp_path / "s.db", wait=0.2) as (kept, failures):
        stuck = threading.Event()
        kept._thread.submit(stuck.wait)
        started = time.monotonic()

        async def many() -> list[bool]:
            ticks = asyncio.create_task(ticking())
            found = await asyncio.gather(*(save(kept, f"r{i}") for i in range(100)))
            ticks.cancel()
            return found

        async def ticking() -> None:
            while True:
                await asyncio.sleep(0.01)

        assert not any(run(many()))
        assert time.monotonic() - started < 5
        assert len(failures) == 100
        assert {f.split(" within")[0] for f in failures} == {
            "the disk did not answer", "too many calls wait for the disk",
        }  # fmt: skip
        stuck.set()


HANGS = """
import asyncio, sys, threading
from pathlib import Path
from gemma4_gateway.settings import StoreOptions
from gemma4_gateway.store.responses import ResponseStore

store = ResponseStore(StoreOptions(Path(sys.argv[1])), failed=print, wait=0.1)
store._database.save = lambda kept: threading.Event().wait()
asyncio.run(store.save("me", None, [], {"id": "a", "output": []}))
store.close()
print("the end")
"""


def test_a_disk_that_hangs_does_not_hold_up_the_end_of_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGS, str(tmp_path / "responses.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "the end"
    assert ended.stdout.count("did not answer") == 1 and "was not closed" in ended.stdout


def test_two_gateways_share_a_file(tmp_path: Path) -> None:
    with store(tmp_path / "s.db") as (one, _), store(tmp_path / "s.db") as (other, failures):

        async def both() -> None:
            await asyncio.gather(
                *(save(kept, f"{i}{kept is one}") for i in range(20) for kept in (one, other))
            )

        run(both())
        for i in range(20):
            assert run(other.retrieve("me", f"{i}True")) and run(one.retrieve("me", f"{i}False"))
    assert failures == []


@pytest.mark.parametrize("kind", ["text", "other", "newer", "folder", "missing"])
def test_a_file_that_cannot_be_used(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.db"
    if kind == "text":
        path.write_text("keys, not SQLite\n" * 100)
    elif kind == "folder":
        path.mkdir()
    elif kind == "missing":
        path = tmp_path / "no" / "s.db"
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 7" if kind == "newer" else "CREATE TABLE t (x)")
        connection.close()
    with pytest.raises(SettingsError, match=r"--response-store .*name another"):
        ResponseStore(StoreOptions(path), failed=print)


def test_options() -> None:
    assert check_store(None, None, None, None) is None
    assert check_store(Path("x"), None, 2, 0.5) == StoreOptions(
        Path("x"), 100_000, 2 * 1024 * 1024, 43_200
    )
    with pytest.raises(SettingsError, match="--response-store-days 3: needs --response-store"):
        check_store(None, None, None, 3)


INPUT = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "A", "annotations": []}]},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}], "id": None},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "fc_1"},
    {"type": "web_search_call", "id": "ws"},
    {"type": "function_call_output", "call_id": "c", "output": "1"},
    {"role": "developer", "content": [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}]},
]  # fmt: skip


@pytest.mark.parametrize("given_input", [INPUT, "Hi"])
def test_what_is_kept_asks_the_same(given_input: Any) -> None:
    kept = kept_items(given_input)
    messages, _ = input_messages("sys", given_input, drop=True)
    assert input_messages("sys", kept)[0] == messages
    assert len({item["id"] for item in kept}) == len(kept)
    assert kept[3]["id"] == "fc_1" if len(kept) > 1 else kept[0]["id"].startswith("msg_")
    earlier, names = input_messages("sys", "Go on", earlier=kept)
    assert earlier == [*messages, {"role": "user", "content": "Go on"}]
    assert names[f"messages[{len(earlier) - 1}].content"] == "input"
    assert names["messages[1].content"] == "previous_response_id"
