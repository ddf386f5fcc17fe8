"""Board, control socket, settings, errors on the wire."""

from __future__ import annotations

from pathlib import Path
from queue import Queue

import pytest
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.control import ControlClient, ControlServer
from gemma4_runtime.settings import load_settings


def test_board_is_shared(tmp_path: Path) -> None:
    writer = Board(tmp_path / "sub" / "board", create=True)
    reader = Board(tmp_path / "sub" / "board")
    writer[Field.IN_FLIGHT] = 2**63
    assert reader[Field.IN_FLIGHT] == 2**63
    with pytest.raises(FileNotFoundError):
        Board(tmp_path / "none")
    (tmp_path / "other").write_bytes(b"x" * 4096)
    with pytest.raises(ValueError, match="not a status board"):
        Board(tmp_path / "other")


def test_control_commands_arrive(tmp_path: Path) -> None:
    path, got = tmp_path / "control", Queue()  # type: ignore[var-annotated]
    with ControlClient(path) as client:
        assert not client.send("cancel", "k")
        server = ControlServer(path, lambda verb, argument: got.put((verb, argument)))
        assert client.send("cancel", "k 1")
        assert client.send("drain")
        assert [got.get(timeout=5), got.get(timeout=5)] == [("cancel", "k 1"), ("drain", "")]
        server.close()
        assert not client.send("drain")


def test_settings() -> None:
    settings = load_settings(
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_SLOTS": "3", "GEMMA4_FAULTS": "kill_at=5"}
    )
    assert (str(settings.engine_dir), settings.slots, settings.faults) == ("/e", 3, {"kill_at": 5})
    for bad in (
        {},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_SLOTS": "0"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_SLOTS": "²"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_SLOTS": "--3"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_MAX_QUEUED": "9" * 5000},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_FAULTS": "kill_at=²"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_THREADS": "x"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_FAULTS": "explode=1"},
        {"GEMMA4_ENGINE_DIR": "/e", "GEMMA4_RESTARTS": "bored=1"},
    ):
        with pytest.raises(ValueError, match="GEMMA4_"):
            load_settings(bad)
