"""An engine with its emitters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.engines.synthetic import SyntheticEngine
from gemma4_runtime.output.vocab import TokenTable
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.streams.emitters import Emitters


@pytest.fixture
def stack(
    tmp_path: Path, table: TokenTable
) -> Iterator[Callable[..., tuple[Emitters, SyntheticEngine, Board, list[Any]]]]:
    made = []

    def build(
        *, judge: Any = None, **options: Any
    ) -> tuple[Emitters, SyntheticEngine, Board, list[Any]]:
        board = Board(tmp_path / "board", create=True)
        given: dict[str, Any] = {
            "slots": 8,
            "max_queued": 8,
            "max_total_tokens": 10**6,
            "vocab_size": 2000,
            "special_ids": table.special,
            "interval_s": 0.001,
        } | options
        engine = SyntheticEngine(**given)
        records: list[Any] = []
        emitter = Emitters(
            engine, table, board, on_end=lambda record, _: records.append(record), judge=judge
        )
        made.append((emitter, engine))
        return emitter, engine, board, records

    yield build
    for emitter, engine in made:
        emitter.close()
        engine.close()
