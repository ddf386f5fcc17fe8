"""When postprocessing has enough before it, and when its count is not believed any more."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.streams.backlog import Backlog

MOST = 16


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board", create=True)


def fill(backlog: Backlog, now: float) -> int:
    """Send until it is full; how many chunks that took."""
    sent = 0
    while not backlog.full(now):
        backlog.add()
        sent += 1
    return sent


@pytest.mark.parametrize("now", [0.5, 86_400.0])
@pytest.mark.parametrize("handled", [0, 5])
def test_the_first_chunks_fill_it(board: Board, handled: int, now: float) -> None:
    """Although the count has been the same for as long as the machine runs."""
    backlog = Backlog(board)
    for _ in range(handled):
        backlog.add()
    board[Field.CHUNKS_HANDLED] = handled
    assert fill(backlog, now) == MOST + 1
    assert backlog.full(now + 0.9)


def test_an_idle_time_is_no_stall(board: Board) -> None:
    """Everything was handled, and then nothing came for a minute."""
    backlog = Backlog(board)
    assert fill(backlog, 1.0) == MOST + 1
    board[Field.CHUNKS_HANDLED] = MOST
    assert not backlog.full(1.1)
    assert fill(backlog, 61.0) == MOST
    assert backlog.full(61.9)


def test_a_stall_gives_room_once_a_second(board: Board) -> None:
    backlog = Backlog(board)
    assert fill(backlog, 1.0) == MOST + 1
    assert backlog.full(1.9)
    assert fill(backlog, 2.1) == MOST + 1
    assert backlog.full(3.0)
    assert fill(backlog, 3.2) == MOST + 1


def test_a_count_that_moves_is_no_stall(board: Board) -> None:
    backlog = Backlog(board)
    for _ in range(2 * MOST):
        backlog.add()
    for second in range(10):
        assert backlog.full(float(second))
        board[Field.CHUNKS_HANDLED] += 1
