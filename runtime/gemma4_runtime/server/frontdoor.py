"""What preprocessing does: admit, check, tokenize."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import overloaded, unavailable
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_runtime.manifest import Manifest, read_manifest
from gemma4_runtime.messages import encode
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.call import check_id
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.request_key import request_key
from gemma4_runtime.server.seal import Kind
from gemma4_runtime.settings import Settings

__all__ = ["FrontDoor", "preparer_of"]


def preparer_of(folder: Path, manifest: Manifest) -> Preparer:
    """With the limits and capabilities of the engine in ``folder``."""
    return Preparer(
        folder,
        limits=Limits(
            max_prompt_tokens=manifest.limits.max_prompt_tokens,
            max_total_tokens=manifest.limits.max_total_tokens,
        ),
        capabilities=CAPABILITIES[manifest.runtime],
    )


class FrontDoor:
    """Overload is refused here, before a prompt is looked at; the engine has the last word."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.engine_dir
        self._preparer = preparer_of(folder, read_manifest(folder))
        self._live = LiveBoard(settings.run_dir / BOARD_NAME)

    def admit(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        *,
        request_id: str,
        parameters: Mapping[str, Any],
        now: float,
    ) -> bytes:
        """A sealed request for the engine step. Raises
        :class:`~gemma4_runtime.errors.RequestError`: UNAVAILABLE, INVALID_ARGUMENT."""
        live = self._live.get()
        key = request_key(parameters, live.sealer)
        check_id(request_id)
        self._check_load(live.board)
        request = self._preparer.prepare(tensors, request_id=request_id, key=key, now=now)
        return live.sealer.seal(Kind.REQUEST, encode(request))

    @staticmethod
    def _check_load(board: Board) -> None:
        if board[Field.DRAINING]:
            raise unavailable("the server is draining before it stops; use another one")
        most = board[Field.SLOTS] + board[Field.MAX_QUEUED]
        if board[Field.IN_FLIGHT] >= most:
            raise overloaded(
                f"{board[Field.IN_FLIGHT]} requests run or wait",
                slots=board[Field.SLOTS],
                max_queued=board[Field.MAX_QUEUED],
            )
