"""The status board of the engine that runs now, for the other steps of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.seal import Sealer

__all__ = ["LiveBoard", "Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A board and the sealer that has its key."""

    board: Board
    sealer: Sealer


class LiveBoard:
    """Opens the board when it is there, and again when an engine that started anew has replaced
    it. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: Opened | None = None

    def get(self) -> Opened:
        """Return the board, in about 2 us. Raises :class:`~gemma4_runtime.errors.RequestError`
        UNAVAILABLE while no engine has made a board."""
        try:
            inode = self._path.stat().st_ino
            if self._opened is None or self._opened.board.inode != inode:
                self._open()
        except FileNotFoundError:
            raise RequestError(
                Code.ENGINE_NOT_READY, "the engine is not ready yet; retry later"
            ) from None
        assert self._opened is not None
        return self._opened

    def last(self) -> Opened:
        """Return what :meth:`get` gave last, without a look whether it has been replaced."""
        return self._opened or self.get()

    def _open(self) -> None:
        before, self._opened = self._opened, None
        if before is not None:
            before.board.close()
        board = Board(self._path)
        self._opened = Opened(board, Sealer(board.key))
