"""What preprocessing does, and the engine step for those who call it: admit, check, have it
prepared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.errors import Code, RequestError, invalid, overloaded
from gemma4_runtime.input.names import read_request
from gemma4_runtime.preparation.client import Done, PreparationClient
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.parameters import check_parameters, with_timeout
from gemma4_runtime.server.request_key import request_key
from gemma4_runtime.trace_context import TraceContext, read_trace

__all__ = ["Admission", "refusal"]


class Admission:
    """Overload is refused here, before a prompt is looked at; the engine has the last word."""

    def __init__(self, run_dir: Path, client: PreparationClient) -> None:
        self._client = client
        self._live = LiveBoard(run_dir / BOARD_NAME)

    def admit(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        *,
        request_id: str,
        parameters: Mapping[str, Any],
        now: float,
        done: Done,
        gone: Callable[[], bool],
    ) -> None:
        """Admit a request. ``done`` gets an encoded
        :class:`~gemma4_runtime.messages.GenerationRequest` or an error, in another thread, which
        also asks ``gone`` whether the client has left. Raises
        :class:`~gemma4_runtime.errors.RequestError`, and calls neither then."""
        timeout = self.check(parameters)
        self.ask(
            with_timeout(read_request(tensors), timeout),
            request_id=request_id,
            key=request_key(parameters, self._live.last().sealer),
            now=now,
            done=done,
            gone=gone,
            trace=read_trace(parameters),
        )

    def check(
        self, parameters: Mapping[str, Any], inputs: Collection[str] = INPUT, *, count: int = 1
    ) -> int:
        """Check the parameters of a call with these ``inputs``, and whether the server takes
        ``count`` more requests. Return Triton's timeout in microseconds. Raises
        :class:`~gemma4_runtime.errors.RequestError`."""
        timeout = check_parameters(parameters, inputs)
        _check_load(self._live.get().board, count)
        return timeout

    def ask(
        self,
        values: dict[str, Any],
        *,
        request_id: str,
        key: str,
        now: float,
        done: Done,
        gone: Callable[[], bool],
        trace: TraceContext | None = None,
    ) -> None:
        """Have a request prepared that was read and checked before; as :meth:`admit`."""
        self._client.ask(
            values,
            kind="request",
            done=done,
            gone=gone,
            request_id=request_id,
            key=key,
            now=now,
            trace=trace,
        )


def refusal(board: Board) -> RequestError | None:
    """Return the error with which every request is refused now."""
    if board[Field.DRAINING]:
        return RequestError(
            Code.DRAINING, "the server is draining before it stops; use another one"
        )
    if board[Field.GATE_CLOSED]:
        return RequestError(
            Code.QUALITY_GATE_FAILED,
            "the engine does not give its recorded answers any more; use another server",
        )
    return None


def _check_load(board: Board, count: int) -> None:
    if (refused := refusal(board)) is not None:
        raise refused
    most = board[Field.SLOTS] + board[Field.MAX_QUEUED]
    if count > most:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "text_input",
            f"needs {count} answers; this server takes {most} at once; send several requests",
            size=count,
            limit=most,
        )
    if board[Field.IN_FLIGHT] + count > most:
        more = f", and this call has {count}" if count > 1 else ""
        raise overloaded(
            f"{board[Field.IN_FLIGHT]} requests run or wait{more}",
            slots=board[Field.SLOTS],
            max_queued=board[Field.MAX_QUEUED],
        )
