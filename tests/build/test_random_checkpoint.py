"""Random checkpoints for measurements."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.random_checkpoint import PRESETS, main, write_checkpoint


def test_threads_change_no_byte(demo_checkpoint: Path, tmp_path: Path) -> None:
    for threads in (1, 5):
        write_checkpoint(
            tmp_path / f"{threads}", PRESETS["tiny"], tokenizer=demo_checkpoint, threads=threads
        )
    one, five = (sorted((tmp_path / name).iterdir()) for name in ("1", "5"))
    assert [path.name for path in one] == [path.name for path in five]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, five, strict=True))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["random_checkpoint", *map(str, arguments)])
    main()


def test_other_numbers_of_layers(
    demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ("--preset", "tiny", "--tokenizer", demo_checkpoint)
    run(monkeypatch, *wanted, "--layers", 5, tmp_path / "out")
    with open_checkpoint(tmp_path / "out") as found:
        assert found.spec.layers == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--layers", 2), "--layers 2: tiny needs 3 for both kinds"),
        (("--threads", 0), "--threads 0: must be 1 or more"),
    ],
)
def test_impossible_options(
    options: tuple[object, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--preset", "tiny", *options, tmp_path / "out")
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
