"""The folder that a worker registers, which has to be one for all workers of a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gemma4_dynamo.card import card_folder
from gemma4_dynamo.model import read_model
from gemma4_dynamo.options import OptionsError
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine


def test_engines_of_one_model_register_one_folder(tmp_path: Path) -> None:
    """Though their engine folders have other paths, paces, slots and manifests."""
    found = set()
    for slots in (2, 8):
        engine = synthetic_engine(tmp_path / f"e{slots}", tokens_per_s=slots, slots=slots)
        found.add(card_folder(read_model(engine).folder, tmp_path / "cards"))
    assert len(found) == 1
    card = found.pop()
    assert sorted(p.name for p in card.iterdir()) == [
        "chat_template.jinja", "config.json", "generation_config.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    assert [p.name for p in (tmp_path / "cards").iterdir()] == [card.name], (
        "nothing half-made is left"
    )


def files(folder: Path, **texts: str) -> Path:
    folder.mkdir()
    for name in ("config", "tokenizer", "tokenizer_config"):
        (folder / f"{name}.json").write_text(texts.get(name, "{}"))
    return folder


@pytest.mark.parametrize("name", ["config", "tokenizer", "tokenizer_config"])
def test_another_model_is_another_folder(tmp_path: Path, name: str) -> None:
    one = card_folder(files(tmp_path / "a"), tmp_path / "cards")
    two = card_folder(files(tmp_path / "b", **{name: "[]"}), tmp_path / "cards")
    assert one != two and one.parent == two.parent


def test_a_folder_that_somebody_changed(tmp_path: Path) -> None:
    given = files(tmp_path / "a")
    made = card_folder(given, tmp_path / "cards")
    (made / "config.json").write_text("{} ")
    with pytest.raises(OptionsError, match=r"--card-folder .*has other files"):
        card_folder(given, tmp_path / "cards")
    (made / "config.json").write_text("{}")
    (made / "extra.json").write_text("{}")
    with pytest.raises(OptionsError, match=r"--card-folder .*has other files"):
        card_folder(given, tmp_path / "cards")


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = files(tmp_path / "a")
    made = card_folder(given, tmp_path / "cards")
    real = Path.stat
    owner = os.getuid() + 1

    def stat(path: Path, **options: bool) -> os.stat_result:
        found = list(real(path, **options))
        return os.stat_result(
            [owner if n == 4 and path == made else v for n, v in enumerate(found)]
        )

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(OptionsError, match="belongs to another user"):
        card_folder(given, tmp_path / "cards")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionsError, match=r"--card-folder .*give one that this user may write"):
        card_folder(files(tmp_path / "a"), tmp_path / "file" / "cards")
