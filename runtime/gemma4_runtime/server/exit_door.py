"""What postprocessing does beside rendering: count chunks, and pass on that a client has gone."""

from __future__ import annotations

from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.control import CONTROL_NAME, ControlClient
from gemma4_runtime.settings import Settings

__all__ = ["ExitDoor"]


class ExitDoor:
    """Used by one thread, that of the model's only instance. ``counter`` is the model's own word
    of the board."""

    def __init__(self, settings: Settings, counter: Field) -> None:
        self._counter = counter
        self._run_dir = settings.run_dir
        self._control = ControlClient(settings.run_dir / CONTROL_NAME)
        self._board: Board | None = None

    def cancel(self, key: str) -> None:
        """The client of request ``key`` has gone."""
        self._control.send("cancel", key)

    def handled(self) -> None:
        """One more chunk is through; the emitter paces itself by this count."""
        if self._board is None:
            self._board = Board(self._run_dir / BOARD_NAME)
        self._board[self._counter] = self._board[self._counter] + 1
