"""Whose Python quantizes: this one, or that of an environment with ModelOpt of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gemma4_build.errors import BuildError
from gemma4_build.trtllm.ptq import QUANTIZE_PYTHON, quantize_python, require_modelopt


def program(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("given", ["", " "])
def test_this_python_by_default(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(QUANTIZE_PYTHON, given)
    assert quantize_python() == sys.executable


def test_another_python_is_asked_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = program(tmp_path / "python", "echo modelopt")
    monkeypatch.setenv(QUANTIZE_PYTHON, str(other))
    assert quantize_python() == str(other)
    with pytest.raises(BuildError, match=rf"modelopt is not installed for {other}"):
        require_modelopt()
    program(other, "exit 0")
    require_modelopt()


@pytest.mark.parametrize("line", ["echo broken >&2; exit 1", "exit 3"])
def test_one_that_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str) -> None:
    other = program(tmp_path / "python", line)
    monkeypatch.setenv(QUANTIZE_PYTHON, str(other))
    with pytest.raises(BuildError, match=rf"{QUANTIZE_PYTHON}={other}: .*status"):
        require_modelopt()


def test_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(QUANTIZE_PYTHON, str(tmp_path / "nowhere"))
    with pytest.raises(BuildError, match=rf"{QUANTIZE_PYTHON}=.*nowhere.*unset it"):
        require_modelopt()
