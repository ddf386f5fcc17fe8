"""Chunks of the engine that runs now are rendered and counted; no others."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.messages import Chunk, ChunkDetails, encode
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.postprocessing import Postprocessing
from gemma4_runtime.server.seal import Kind, Sealer
from gemma4_runtime.settings import Settings


def sealed(board: Board, index: int) -> bytes:
    return Sealer(board.key).seal(Kind.CHUNK, encode(Chunk(key="k", index=index)))


def test_an_engine_that_started_anew_is_believed_and_the_old_one_is_not(tmp_path: Path) -> None:
    step = Postprocessing(Settings(engine_dir=Path(), run_dir=tmp_path), Field.CHUNKS_HANDLED)
    with pytest.raises(RequestError, match="the engine is not ready yet") as caught:
        step.read(b"")
    assert caught.value.code == Code.ENGINE_NOT_READY
    first = Board(tmp_path / BOARD_NAME, create=True)
    assert step.read(sealed(first, 1)).index == 1
    step.handled()
    assert first[Field.CHUNKS_HANDLED] == 1
    second = Board(tmp_path / BOARD_NAME, create=True)
    assert step.read(sealed(second, 2)).index == 2
    step.handled()
    assert (first[Field.CHUNKS_HANDLED], second[Field.CHUNKS_HANDLED]) == (1, 1)
    for forged in (sealed(first, 3), b"", bytes(40)):
        with pytest.raises(RequestError, match="chunk: is what the engine step makes"):
            step.read(forged)


ERRORS = [
    RequestError(Code.CLIENT_CANCELLED, "the client cancelled"),
    RequestError(Code.DEADLINE_EXCEEDED, "the time is over"),
    invalid(Code.PROMPT_TOO_LONG, "text_input", "is too long", tokens=9, limit=8),
    RequestError(Code.SERVER_FAILED, "in ensemble 'x', \"quoted\" ] \x1b[31m\n" + "y" * 9000),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_that_comes_as_a_chunk_is_told_and_counted(
    error: RequestError, tmp_path: Path
) -> None:
    step = Postprocessing(Settings(engine_dir=Path(), run_dir=tmp_path), Field.CHUNKS_HANDLED)
    board = Board(tmp_path / BOARD_NAME, create=True)
    chunk = Chunk(key="k", index=-1, details=ChunkDetails(error=error.to_wire()))
    with pytest.raises(RequestError) as caught:
        step.read(Sealer(board.key).seal(Kind.CHUNK, encode(chunk)))
    assert caught.value.to_wire() == error.to_wire()
    assert (caught.value.status, caught.value.code) == (error.status, error.code)
    assert caught.value.triton_code == error.triton_code
    assert board[Field.CHUNKS_HANDLED] == 1
