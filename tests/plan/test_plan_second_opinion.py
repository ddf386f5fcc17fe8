"""``--second-opinion``: aiconfigurator's figures beside ours, and our answer without it. What it
writes was recorded from version 0.12.0; `make test-second-opinion`
asks the program itself."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gemma4_cli.main import app
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.second import aiconfigurator
from gemma4_plan.second.aiconfigurator import ask, find_program
from gemma4_plan.second.opinion import Asked
from gemma4_testing.cases.aiconfigurator import RECORDED, program
from gemma4_testing.waiting import wait_until
from typer.testing import CliRunner

ASKED = Asked(
    gpu="h200", precision="bf16", tensor_parallel=1, prompt=1024, output=512, ttft_ms=500,
    itl_ms=30,
)  # fmt: skip
FIT = ("fit", "--gpu", "h200", "--precision", "bf16", "--ttft-ms", "500", "--itl-ms", "30")


def run(*words: str) -> tuple[int, str, str]:
    ran = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["plan", *words])
    return ran.exit_code, ran.stdout, ran.stderr


def second(*words: str) -> dict[str, Any]:
    code, text, said = run(*words, "--json")
    assert code == 0, said
    found: dict[str, Any] = json.loads(text)["result"]["second_opinion"]
    return found


def test_its_figures_are_read(tmp_path: Path) -> None:
    found = ask(program(tmp_path), ASKED, seconds=60)
    assert found.name == "aiconfigurator 0.12.0" and not found.missing
    figures = found.figures
    assert figures is not None
    assert (figures.streams, figures.tensor_parallel) == (176, 1)
    assert (figures.itl_ms, figures.ttft_ms) == (29.266, 312.701)
    assert figures.tokens_per_s == figures.tokens_per_s_per_gpu == 5926.095
    assert figures.engine == "trtllm 1.3.0rc20"


def test_it_is_asked_the_same_question(tmp_path: Path) -> None:
    file = tmp_path / "words"
    ask(program(tmp_path, before=f'printf "%s\\n" "$@" > {file}'), ASKED, seconds=60)
    words = file.read_text().splitlines()
    given = dict(pairwise(words))
    assert words[:2] == ["cli", "default"]
    for option, value in {
        "--model-path": "google/gemma-4-26B-A4B", "--system": "h200_sxm", "--total-gpus": "1",
        "--isl": "1024", "--osl": "512", "--ttft": "500", "--tpot": "30", "--backend": "trtllm",
    }.items():  # fmt: skip
        assert given[option] == value
    assert not Path(given["--save-dir"]).exists(), "the folder is removed"


def test_both_are_shown_and_named(tmp_path: Path) -> None:
    path = str(program(tmp_path))
    code, text, _ = run(*FIT, "--second-opinion", path)
    assert code == 0
    for words in (
        "second opinion on one copy on h200 in bf16:", "this plan's estimate: ",
        "aiconfigurator 0.12.0 predicts: 176 streams, ITL 29.3 ms, TTFT 313 ms, 5,926 tokens/s a",
        "its data: trtllm 1.3.0rc20", "without a run of this model",
    ):  # fmt: skip
        assert words in text, words
    found = second(*FIT, "--second-opinion", path)
    assert found["version"] == "0.12.0" and found["tokens_per_s_per_gpu"] == 5926.095
    assert found["missing"] is None and found["gpu"] == "h200"
    assert second(*FIT) is None


def test_a_fleet_has_it_too(tmp_path: Path) -> None:
    report = tmp_path / "plan.html"
    words = ("capacity", "--rate", "3", "--gpu", "h200", "--precision", "bf16", "--output-tokens",
             "100", "--ttft-ms", "900", "--second-opinion", str(program(tmp_path)))  # fmt: skip
    assert second(*words, "--report", str(report))["streams"] == 176
    html = report.read_text(encoding="utf-8")
    assert "aiconfigurator 0.12.0 predicts: 176 streams" in html and "second opinion" in html


MISSING = {
    "GPU": (ASKED, "", {"gpu": "dgx-spark"}, "it has no measurements of dgx-spark; it has them of a100"),
    "precision": (ASKED, "", {"precision": "fp8"}, "it knows this model in bf16 and nvfp4 only, not in fp8"),
    "nothing holds": (
        ASKED, "echo '03:10:52 [aiconfigurator] [W] [main.py:2178] Experiment agg found no SLA-feasible "
        "configuration: sweep_agg: no results'; exit 0", {},
        "Experiment agg found no SLA-feasible configuration: sweep_agg: no results",
    ),
    "model": (
        ASKED, "echo 'ValueError: unknown model google/gemma-4-26B-A4B' >&2; exit 1", {},
        "unknown model google/gemma-4-26B-A4B (exit status 1)",
    ),
    "crash": (ASKED, "kill -SEGV $$", {}, "it found nothing, and said no reason (exit status -11)"),
    "no file": (ASKED, "exit 0", {}, "it found nothing, and said no reason"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_why_it_is_missing(name: str, tmp_path: Path) -> None:
    asked, before, change, says = MISSING[name]
    fields = {field: getattr(asked, field) for field in asked.__slots__} | change
    found = ask(program(tmp_path, before=before), Asked(**fields), seconds=60)
    assert (
        found.figures is None and found.missing == says
        if name != "GPU"
        else (found.missing.startswith(says))
    )
    assert "\n" not in found.missing


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("29.266", "nan"),
        ("29.266", "-1"),
        ("29.266", "many"),
        (",tpot,", ",itl,"),
        ("176,11", "inf,11"),
    ],
)
def test_another_form_is_said(old: str, new: str, tmp_path: Path) -> None:
    assert old in RECORDED
    found = ask(program(tmp_path, table=RECORDED.replace(old, new, 1)), ASKED, seconds=60)
    assert found.figures is None
    assert found.missing.startswith("its answer is in another form than that of 0.12: ")


def test_too_late_ends_it_with_all_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "child"
    path = program(tmp_path, before=f"sleep 1000 & echo $! > {file}; wait")
    began = time.monotonic()
    found = ask(path, ASKED, seconds=1)
    assert found.missing.startswith("it had no answer within 1 s; --second-opinion-seconds")
    assert time.monotonic() - began < 30
    child = Path(f"/proc/{file.read_text().strip()}/stat")
    wait_until(
        lambda: not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z", 10
    )


def test_our_answer_comes_without_it(tmp_path: Path) -> None:
    path = str(program(tmp_path, before="exit 3"))
    code, text, said = run(*FIT, "--second-opinion", path)
    assert code == 0 and not said
    assert "gemma4 build " in text
    start = "second opinion of aiconfigurator on one copy on h200 in bf16: none, since "
    assert len(re.findall(f"^{start}", text, re.MULTILINE)) == 1
    found = second(*FIT, "--second-opinion", path)
    assert found["missing"] and found["streams"] is found["itl_ms"] is None


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(
        BadQuestionError, match=r"is not installed; `.*pip install .*\[aiconfigurator\]"
    ):
        find_program("aiconfigurator")
    for name, says in (("other", "is not known; give aiconfigurator"), ("./no", "is no program")):
        with pytest.raises(BadQuestionError, match=says):
            find_program(name)
    code, text, said = run(*FIT, "--second-opinion", "other", "--json")
    assert code == 2 and "--second-opinion other: is not known" in said
    assert json.loads(text)["error"].startswith("--second-opinion other")


def test_it_is_found_beside_python_and_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = program(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_program("aiconfigurator") == path
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("aiconfigurator") == path
    path.chmod(stat.S_IRUSR)
    if os.geteuid():
        assert not os.access(path, os.X_OK)


def test_the_names_are_of_our_catalog() -> None:
    from gemma4_plan.catalog import read_catalog
    from gemma4_runtime.trtllm.setup import PRECISIONS

    assert aiconfigurator._SYSTEMS.keys() <= read_catalog().gpus.keys()
    assert aiconfigurator._MODELS.keys() <= set(PRECISIONS)
