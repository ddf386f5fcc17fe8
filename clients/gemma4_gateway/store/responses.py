"""Stored responses for the event loop: off it, within a time, and never the end of an answer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from gemma4_client.concurrency.timeouts import TIMED_OUT

from gemma4_gateway.errors import ApiError, invalid, not_found, unavailable
from gemma4_gateway.jsons import dumps
from gemma4_gateway.settings import SettingsError, StoreOptions
from gemma4_gateway.store.database import BrokenChainError, Database, Kept, StoredRow
from gemma4_gateway.store.disk_thread import DiskThread

__all__ = ["ResponseStore"]

T = TypeVar("T")
_MOST_WAITING = 64
"""Calls that may wait for the disk; more are refused, since each holds its texts in memory."""


class ResponseStore:
    """``wait``: seconds that a call waits for the disk. ``failed`` is told why a response was not
    stored. Raises :class:`~gemma4_gateway.settings.SettingsError` for a file that cannot be used.
    Owners are the names of API keys; nobody finds the responses of another."""

    def __init__(
        self,
        options: StoreOptions,
        *,
        failed: Callable[[str], None],
        wait: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(options, now)
        self._failed = failed
        self._wait = wait
        self._waiting = 0
        self._thread = DiskThread("gateway-store")
        try:
            self._database.open()
        except (sqlite3.Error, OSError) as error:
            raise SettingsError(
                f"--response-store {options.path}: {_reason(error)}; move that file away, or name "
                "another"
            ) from None

    async def _run(self, work: Callable[[], T]) -> T:
        """Run it in the thread. Raises :class:`OSError` or :class:`sqlite3.Error`."""
        if self._waiting >= _MOST_WAITING:
            raise OSError("too many calls wait for the disk")
        self._waiting += 1
        future = asyncio.wrap_future(self._thread.submit(work))
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._wait)
        except TIMED_OUT:
            raise OSError(f"the disk did not answer within {self._wait:g} s") from None

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # of a call that nobody waits for any more: it has been told

    async def _read(self, work: Callable[[], T]) -> T:
        try:
            return await self._run(work)
        except (sqlite3.Error, OSError) as error:
            raise unavailable(
                f"the stored responses cannot be read: {_reason(error)}", code="store_unavailable"
            ) from None

    async def save(
        self, owner: str, previous: str | None, given: list[dict[str, Any]], body: dict[str, Any]
    ) -> bool:
        """Save a response with its own input items, and return whether that was done. Never raises
        for what is wrong with the disk or the file."""
        items = tuple(str(item["id"]) for item in (*given, *body["output"]))
        kept = Kept(owner, body["id"], previous, dumps(given), dumps(body), items)
        try:
            stored = await self._run(lambda: self._database.save(kept))
        except (sqlite3.Error, OSError) as error:
            self._failed(_reason(error))
            return False
        if not stored:
            self._failed("too large for the bounds of the store, or what it builds on has gone")
        return stored

    async def conversation(
        self, owner: str, last: str, *, most_bytes: int, param: str = "previous_response_id"
    ) -> list[dict[str, Any]]:
        """Return the items of the response ``last`` and of all that it builds on, in order."""
        try:
            rows = await self._read(
                lambda: self._database.chain(owner, last, most_bytes=most_bytes)
            )
        except BrokenChainError as error:
            missing = "" if error.missing == last else f", which builds on {error.missing!r},"
            raise ApiError(
                404,
                f"{param}: {last!r}{missing} is not stored (any more); send the earlier items in "
                "`input`",
                param=param,
                code="previous_response_not_found",
            ) from None
        if isinstance(rows, int):
            text = (
                f"the prompt is too long: the conversation has {rows} bytes; at most {most_bytes}; "
                "begin a new one"
            )
            raise invalid(param, text, code="context_length_exceeded")
        return [item for row in rows for item in _items(row)]

    async def retrieve(self, owner: str, wanted: str) -> dict[str, Any]:
        """Return a response. Raises 404."""
        body: dict[str, Any] = json.loads((await self._found(owner, wanted)).body)
        return body

    async def input_items(
        self, owner: str, wanted: str, *, most_bytes: int
    ) -> list[dict[str, Any]]:
        """Return what a response answered: the items of those before it, and its own input."""
        row = await self._found(owner, wanted)
        previous = json.loads(row.body)["previous_response_id"]
        own: list[dict[str, Any]] = json.loads(row.input)
        if previous is None:
            return own
        before = await self.conversation(
            owner, previous, most_bytes=most_bytes, param="response_id"
        )
        return [*before, *own]

    async def item(self, owner: str, wanted: str) -> dict[str, Any] | None:
        """Return an item by its id."""
        row = await self._read(lambda: self._database.with_item(owner, wanted))
        items = [] if row is None else _items(row)
        return next((item for item in items if item["id"] == wanted), None)

    async def delete(self, owner: str, wanted: str) -> None:
        """Delete a response. Raises 404."""
        if not await self._read(lambda: self._database.delete(owner, wanted)):
            raise _missing(wanted)

    async def _found(self, owner: str, wanted: str) -> StoredRow:
        row = await self._read(lambda: self._database.find(owner, wanted))
        if row is None:
            raise _missing(wanted)
        return row

    def close(self) -> None:
        """Close the file once what waits has been written; waits at most as long as a call."""
        closing = self._thread.submit(self._database.close)
        self._thread.close()
        try:
            closing.result(self._wait)
        except (*TIMED_OUT, sqlite3.Error) as error:
            self._failed(f"the file was not closed: {_reason(error)}")


def _items(row: StoredRow) -> list[dict[str, Any]]:
    return [*json.loads(row.input), *json.loads(row.body)["output"]]


def _missing(wanted: str) -> ApiError:
    text = f"response_id: {wanted!r} is not stored (any more)"
    return not_found(text, param="response_id", code="response_not_found")


def _reason(error: BaseException) -> str:
    """Return why, without the path, which is nobody's business who calls."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
