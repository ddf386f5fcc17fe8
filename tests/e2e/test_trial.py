"""``gemma4 doctor --gpu`` against real servers, on all three runtimes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from gemma4_runtime.manifest import MANIFEST_NAME, read_manifest
from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial.budget import Budget
from gemma4_serve.doctor.trial.run import CHECKS, run_trial
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.engine_folders.trtllm_folder import double_env, make_folder

TEXT = "<|turn>user\nWhat is 7 + 8?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
NAMES = ["load", *(check.name for check in CHECKS), "whole trial"]


def change(folder: Path, reference: list[int] | None = None) -> Path:
    """``reference`` replaces the manifest's first tokens."""
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["limits"] |= {"slots": 2, "max_queued": 2}
    if reference is not None:
        manifest["first_tokens"] = [{"text": TEXT, "ids": reference}]
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    return folder


def trial(folder: Path, budget: float = 600) -> dict[str, Result]:
    told: list[Result] = []
    results = run_trial(
        folder, read_manifest(folder), start_timeout=120, budget=Budget(budget), tell=told.append
    )
    assert told == results
    return {r.name: r for r in results}


def failed(found: dict[str, Result]) -> list[str]:
    return [name for name, result in found.items() if result.level == "fail"]


def details(found: Iterable[Result]) -> str:
    return "\n".join(f"{r.level} {r.name}: {r.detail} {r.way_out}" for r in found)


def test_llama_cpp(engines: Path, tmp_path: Path) -> None:
    wanted = sum(len(first.ids) for first in read_manifest(engines / "f32").first_tokens)
    assert wanted > 40
    folder = change(Path(shutil.copytree(engines / "f32", tmp_path / "engine")))
    found = trial(folder)
    assert list(found) == NAMES
    long_prompt = found.pop("long prompt")
    assert long_prompt.level in ("ok", "info"), long_prompt
    assert {r.level for r in found.values()} == {"ok"}, details(found.values())
    assert found["load"].figures["triton"] == "2.51.0"
    assert found["first tokens"].figures == {"equal": wanted, "total": wanted}
    assert found["overload"].figures == {"room": 4, "served": 4, "refused": 4}
    assert found["quality gate"].figures == {"agreement": 1.0, "passed": True}
    assert found["seeds"].figures["in_batch"] is True
    assert found["restart"].figures["same_answer"] is True


def test_wrong_tokens_are_seen_and_the_rest_goes_on(engines: Path, tmp_path: Path) -> None:
    folder = change(Path(shutil.copytree(engines / "f32", tmp_path / "engine")), [600, 601, 602])
    found = trial(folder)
    assert failed(found) == ["first tokens"], details(found.values())
    assert "0 of 3" in found["first tokens"].detail


def test_what_the_budget_leaves_out_is_named(engines: Path, tmp_path: Path) -> None:
    folder = change(Path(shutil.copytree(engines / "f32", tmp_path / "engine")))
    found = trial(folder, budget=12 + 1.2 * trial(folder)["load"].figures["seconds"])
    assert list(found) == NAMES
    left_out = found["whole trial"].figures["left_out"]
    assert left_out[-1] == "drain" and "restart" in left_out
    assert all(found[name].detail.startswith("left out") for name in left_out)


def test_an_engine_that_does_not_load(engines: Path, tmp_path: Path) -> None:
    manifest = read_manifest(engines / "f32")
    folder = tmp_path / "engine"
    shutil.copytree(engines / "f32", folder)
    (folder / "model.gguf").write_bytes(b"GGUF")
    (result,) = run_trial(folder, manifest, start_timeout=60, budget=Budget(600))
    assert result.name == "load" and result.level == "fail"
    assert "model.gguf" in result.detail
    assert any("model.gguf" in line for line in result.figures["log"])


def test_synthetic_with_wrong_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMA4_FAULTS", "wrong_at=2")
    found = trial(change(synthetic_engine(tmp_path / "engine", tokens_per_s=300.0, slots=2)))
    assert failed(found) == ["quality gate"], details(found.values())
    assert set(found["guides"].figures["answers"].values()) == {"refused"}


def test_tensorrt_llm(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double stands for it."""
    monkeypatch.setenv("PYTHONPATH", double_env()["PYTHONPATH"])
    folder = make_folder(checkpoint, tmp_path / "engine", slots=2, max_queued=2)
    found = trial(folder)
    assert not failed(found), details(found.values())
    log = found["load"].figures["log"]
    assert any("model.py" in line or "GRPCInferenceService" in line for line in log), log
    assert found["statistics"].figures["kv_block_tokens"] == 32
    assert found["statistics"].figures["seen_kv_usage"] > 0
    assert found["seeds"].figures["alone"] is True and found["seeds"].figures["in_batch"] is False
    assert found["restart"].figures["end"] == "engine_lost"
    assert found["long prompt"].figures["prompt_tokens"] > 1024, found["long prompt"]


def test_a_tensorrt_llm_that_drops_things(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", double_env()["PYTHONPATH"])
    monkeypatch.setenv("TRTLLM_DOUBLE_FAULT", "unguided=1,seedless=1,no_statistics=1")
    found = trial(make_folder(checkpoint, tmp_path / "engine", slots=2, max_queued=2))
    assert failed(found) == ["statistics", "guides", "seeds"], details(found.values())
