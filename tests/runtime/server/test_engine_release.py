"""What the engine step has done before `gemma4 serve` may kill its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.server import engine as engine_module
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.engine import EngineStep
from gemma4_runtime.settings import Settings
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine


def test_log_lines_are_out_before_it_says_that_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the last request would be lost on a busy machine."""
    settings = Settings(
        engine_dir=synthetic_engine(tmp_path / "engine", tokens_per_s=1000, slots=2),
        run_dir=tmp_path,
    )
    step = EngineStep(settings)
    board = Board(tmp_path / BOARD_NAME)
    seen: list[int] = []
    monkeypatch.setattr(engine_module, "flush_events", lambda: seen.append(board[Field.RELEASED]))
    step.close()
    assert seen == [0] and board[Field.RELEASED] == 1
