"""The SQLite file of stored responses. One thread at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gemma4_gateway.settings import StoreOptions

__all__ = ["BrokenChainError", "Database", "Kept", "StoredRow"]

_VERSION = 1
_BUSY_S = 2.0
"""Seconds to wait for another gateway that writes into the same file."""
_ROW_BYTES = 512
"""What a row costs beside its texts, at most."""
_TABLES = """
CREATE TABLE response (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, owner TEXT NOT NULL, previous TEXT,
    used REAL NOT NULL, bytes INTEGER NOT NULL, input BLOB NOT NULL, body BLOB NOT NULL,
    UNIQUE (owner, id)
);
CREATE INDEX response_used ON response (used, seq DESC);
CREATE TABLE item (
    owner TEXT NOT NULL, id TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES response (seq) ON DELETE CASCADE,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE INDEX item_seq ON item (seq);
CREATE TABLE total (responses INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0);
CREATE TRIGGER added AFTER INSERT ON response BEGIN
    UPDATE total SET responses = responses + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER removed AFTER DELETE ON response BEGIN
    UPDATE total SET responses = responses - 1, bytes = bytes - OLD.bytes;
END;
"""
_CHAIN = """
WITH RECURSIVE chain (seq, id, previous, bytes, depth) AS (
    SELECT seq, id, previous, bytes, 0 FROM response WHERE owner = :owner AND id = :id
    UNION ALL
    SELECT r.seq, r.id, r.previous, r.bytes, chain.depth + 1
    FROM response AS r JOIN chain ON r.owner = :owner AND r.id = chain.previous
)
SELECT seq, previous, bytes FROM chain ORDER BY depth
"""


class BrokenChainError(Exception):
    """A response that another one builds on is not there. ``missing`` is its id."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Kept:
    """A response to keep. ``input`` and ``body`` are JSON: its own input items, the response.
    ``items`` are the ids of its items."""

    owner: str
    id: str
    previous: str | None
    input: bytes
    body: bytes
    items: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.input) + len(self.body) + _ROW_BYTES


@dataclass(frozen=True, slots=True)
class StoredRow:
    """``input`` and ``body`` as in :class:`Kept`."""

    input: bytes
    body: bytes


class Database:
    """Opened at the first use, and anew after an error. Every method may raise
    :class:`sqlite3.Error` or :class:`OSError`; what it began is undone then. ``now`` is in seconds
    since 1970. A response is used when it is saved, and when a later one builds on it; those least
    recently used go first, so that none outlives one that it builds on."""

    def __init__(self, options: StoreOptions, now: Callable[[], float]) -> None:
        self._path = options.path
        self._bounds = options
        self._now = now
        self._connection: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """Open the file, and make it (mode 0600) where there is none."""
        if self._connection is None:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        connection = self.open()
        try:
            connection.execute(f"BEGIN {kind}")
            yield connection
            connection.execute("COMMIT")
        except BrokenChainError:
            connection.execute("ROLLBACK")
            raise
        except BaseException:
            self.close()  # which undoes the transaction, whatever has happened to the file
            raise

    def save(self, kept: Kept) -> bool:
        """Save a response, and drop others to stay within the bounds; return whether it is there
        now: not if it is too large for the bounds, alone or with those before it, or if the one
        before it has gone."""
        now = self._now()
        with self._transaction("IMMEDIATE") as connection:
            seq = None
            if kept.previous is None or self._touch(connection, kept, now):
                seq = self._insert(connection, kept, now)
            self._evict(connection, now)
            found = "SELECT 1 FROM response WHERE seq = ?"
            there = connection.execute(found, (seq,)).fetchone()
        return there is not None

    def _insert(self, connection: sqlite3.Connection, kept: Kept, now: float) -> int | None:
        added = connection.execute(
            "INSERT INTO response (id, owner, previous, used, bytes, input, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (kept.id, kept.owner, kept.previous, now, kept.size, kept.input, kept.body),
        )
        seq = added.lastrowid
        connection.executemany(
            "INSERT OR REPLACE INTO item VALUES (?, ?, ?)",
            [(kept.owner, item, seq) for item in kept.items],
        )
        return seq

    def _touch(self, connection: sqlite3.Connection, kept: Kept, now: float) -> bool:
        """Use all that a response builds on; return whether it is there."""
        names = {"owner": kept.owner, "id": kept.previous}
        rows = connection.execute(_CHAIN, names).fetchall()
        connection.executemany(
            "UPDATE response SET used = ? WHERE seq = ?", [(now, seq) for seq, *_ in rows]
        )
        return bool(rows)

    def _evict(self, connection: sqlite3.Connection, now: float) -> None:
        oldest = now - self._bounds.seconds
        connection.execute("DELETE FROM response WHERE used < ?", (oldest,))
        while True:
            responses, size = connection.execute("SELECT responses, bytes FROM total").fetchone()
            if responses <= self._bounds.responses and size <= self._bounds.bytes:
                return
            gone = connection.execute(
                "DELETE FROM response WHERE seq = "
                "(SELECT seq FROM response ORDER BY used, seq DESC LIMIT 1)"
            )
            if not gone.rowcount:
                raise sqlite3.DatabaseError("counts more than it has")

    def find(self, owner: str, wanted: str) -> StoredRow | None:
        """Return one response; None if it is not there, or too old."""
        with self._transaction("DEFERRED") as connection:
            row = connection.execute(
                "SELECT input, body FROM response WHERE owner = ? AND id = ? AND used >= ?",
                (owner, wanted, self._now() - self._bounds.seconds),
            ).fetchone()
        return None if row is None else StoredRow(*row)

    def chain(self, owner: str, last: str, *, most_bytes: int) -> list[StoredRow] | int:
        """Return the response ``last`` and those that it builds on, the first one first; or their
        bytes, when these are more than ``most_bytes``. Raises :class:`BrokenChainError`."""
        if self.find(owner, last) is None:
            raise BrokenChainError(last)
        with self._transaction("DEFERRED") as connection:
            rows = connection.execute(_CHAIN, {"owner": owner, "id": last}).fetchall()
            if not rows or rows[-1][1] is not None:
                raise BrokenChainError(rows[-1][1] if rows else last)
            size = sum(row[2] for row in rows)
            if size > most_bytes:
                return int(size)
            read = "SELECT input, body FROM response WHERE seq = ?"
            found = [connection.execute(read, (seq,)).fetchone() for seq, *_ in rows]
        return [StoredRow(*row) for row in reversed(found)]

    def with_item(self, owner: str, item: str) -> StoredRow | None:
        """Return the response that has an item."""
        with self._transaction("DEFERRED") as connection:
            row = connection.execute(
                "SELECT input, body FROM response JOIN item USING (seq) "
                "WHERE item.owner = ? AND item.id = ?",
                (owner, item),
            ).fetchone()
        return None if row is None else StoredRow(*row)

    def delete(self, owner: str, wanted: str) -> bool:
        """Delete one response; return whether it was there."""
        with self._transaction("IMMEDIATE") as connection:
            gone = connection.execute(
                "DELETE FROM response WHERE owner = ? AND id = ?", (owner, wanted)
            )
        return gone.rowcount > 0


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise sqlite3.DatabaseError(f"is of version {version}; this software reads {_VERSION}")
    if version == 0:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            raise sqlite3.DatabaseError("is a database of something else")
        connection.executescript(
            f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {_VERSION};COMMIT;"
        )
