"""Further names of the ensemble."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_serve.aliases import check_aliases, write_aliases
from gemma4_serve.errors import ServeError
from gemma4_testing.repository import ROOT
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

REPOSITORY, OVERLAY = ROOT / "model_repository", ROOT / "nvidia_repository"


def test_an_alias_is_the_ensemble_under_another_name(tmp_path: Path) -> None:
    folder = write_aliases(("ensemble", "tensorrt_llm_bls"), REPOSITORY, tmp_path)
    assert folder is not None
    for name in ("ensemble", "tensorrt_llm_bls"):
        made, ours = (
            text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
            for path in (folder / name / "config.pbtxt", REPOSITORY / "gemma4" / "config.pbtxt")
        )
        assert made.name == name
        made.name = ours.name
        assert made == ours
        assert (folder / name / "1").is_dir()


def test_a_later_start_without_them_has_none(tmp_path: Path) -> None:
    write_aliases(("ensemble",), REPOSITORY, tmp_path)
    assert write_aliases((), REPOSITORY, tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("aliases", "says"),
    [
        (["gemma4"], "--alias gemma4: is a model of this server"),
        (["engine"], "--alias engine: is a model of this server"),
        (["ensemble"], "--alias ensemble: is a model of this server"),
        (["a", "a"], "--alias a: is given twice"),
        (["../x"], "--alias ../x: use letters"),
        ([""], "--alias : use letters"),
        (["x" * 65], "at most 64"),
    ],
)
def test_names_that_cannot_be(aliases: list[str], says: str) -> None:
    with pytest.raises(ServeError, match=says):
        check_aliases(aliases, [REPOSITORY, OVERLAY])
