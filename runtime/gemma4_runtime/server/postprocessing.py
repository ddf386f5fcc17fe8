"""What postprocessing does beside rendering: check and count chunks, and pass on that a client has
gone."""

from __future__ import annotations

from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import Chunk, decode_chunk
from gemma4_runtime.server.board import BOARD_NAME, Field
from gemma4_runtime.server.control import CONTROL_NAME, ControlClient
from gemma4_runtime.server.guard import relayed
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.seal import Kind
from gemma4_runtime.settings import Settings

__all__ = ["Postprocessing"]


class Postprocessing:
    """Used by one thread, that of the model's only instance. ``counter`` is the model's own word
    of the board."""

    def __init__(self, settings: Settings, counter: Field) -> None:
        self._counter = counter
        self._control = ControlClient(settings.run_dir / CONTROL_NAME)
        self._live = LiveBoard(settings.run_dir / BOARD_NAME)

    def read(self, sealed: bytes) -> Chunk:
        """Read the engine step's chunk. Raises :class:`~gemma4_runtime.errors.RequestError`: what
        the request failed with, where that is what the chunk says, and INVALID_ARGUMENT for
        anybody else's chunk."""
        chunk = self._decoded(sealed)
        if chunk.details is not None and chunk.details.error:
            self.handled()
            raise relayed(chunk.details.error)
        return chunk

    def _decoded(self, sealed: bytes) -> Chunk:
        opened = self._live.last()
        try:
            return decode_chunk(opened.sealer.unseal(Kind.CHUNK, sealed))
        except RequestError:
            if self._live.get() is opened:
                raise
            return self._decoded(sealed)

    def cancel(self, key: str) -> None:
        """Pass on that the client of request ``key`` has gone."""
        self._control.send("cancel", key)

    def handled(self) -> None:
        """Count one more chunk that is through; the emitter paces itself by this count."""
        self._live.last().board[self._counter] += 1
