"""What real processes have open, by the kernel's own word."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import psutil

from gemma4_testing.servers.process_tree import tree

__all__ = ["Listening", "Seen", "listening", "new_paths", "snapshot", "unix_sockets"]


@dataclass(frozen=True, slots=True, order=True)
class Listening:
    """A TCP socket that takes connections, or a UDP socket that is bound."""

    process: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A path; ``mode`` without the kind."""

    path: Path
    kind: str
    mode: int


def listening(root: int) -> set[Listening]:
    """Return what the process ``root`` and all below it listen at."""
    found: set[Listening] = set()
    for process in tree(root):
        try:
            for connection in process.net_connections(kind="inet"):
                bound = connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
                if bound and connection.laddr and not connection.raddr:
                    address = connection.laddr.ip.removeprefix("::ffff:")  # IPv4 in IPv6's form
                    found.add(Listening(process.name(), address, connection.laddr.port))
        except psutil.NoSuchProcess:
            continue
    return found


def unix_sockets(root: int) -> set[str]:
    """Return the names of the Unix sockets that they have bound; one in no folder begins with
    ``@``."""
    names = set()
    for process in tree(root):
        try:
            names |= {str(c.laddr) for c in process.net_connections(kind="unix") if c.laddr}
        except psutil.NoSuchProcess:
            continue
    return names


def snapshot(*folders: Path) -> dict[Path, tuple[int, int]]:
    """Return inode and time of change of every path below ``folders``, and of themselves."""
    found = {}
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            found[path] = (status.st_ino, status.st_ctime_ns)
    return found


def new_paths(before: dict[Path, tuple[int, int]], *folders: Path) -> list[Seen]:
    """Return what was made or changed since ``before``, without links."""
    seen = []
    for path, state in snapshot(*folders).items():
        if before.get(path) == state:
            continue
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(mode):
            seen.append(Seen(path, _kind(mode), stat.S_IMODE(mode)))
    return seen


def _kind(mode: int) -> str:
    for kind, test in (("folder", stat.S_ISDIR), ("socket", stat.S_ISSOCK), ("file", stat.S_ISREG)):
        if test(mode):
            return kind
    return "other"
