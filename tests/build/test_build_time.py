"""The time in the manifest: now, or SOURCE_DATE_EPOCH's, for builds that can be repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.build_time import build_time
from gemma4_build.errors import BuildError
from gemma4_cli.main import app
from typer.testing import CliRunner


@pytest.mark.parametrize("unset", [None, ""])
def test_now_to_the_second(monkeypatch: pytest.MonkeyPatch, unset: Any) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    if unset is not None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", unset)
    made = build_time()
    assert made.microsecond == 0 and abs(datetime.now(UTC) - made) < timedelta(seconds=60)


def test_the_time_of_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert build_time() == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("given", ["yesterday", "1.5", "9" * 30])
def test_what_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(BuildError, match=f"SOURCE_DATE_EPOCH={given}"):
        build_time()


def test_it_is_found_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    command = ["build", str(tmp_path / "none"), "--out", str(tmp_path / "engine")]
    done = CliRunner().invoke(app, command, env={"SOURCE_DATE_EPOCH": "x"})
    assert done.exit_code == 1 and "SOURCE_DATE_EPOCH=x" in done.output
