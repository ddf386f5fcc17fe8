"""The way of somebody with a GPU, with the double in place of TensorRT-LLM: ``gemma4 build --warm``,
``gemma4 doctor --gpu``, ``gemma4 serve``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from gemma4_runtime.manifest import read_manifest
from gemma4_testing.engine_folders.trtllm_folder import double_env
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served, user


def gemma4(*args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GEMMA4, *map(str, args)], env=os.environ | double_env() | (env or {}),
        capture_output=True, text=True, timeout=250,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a build with everything."""
    root = tmp_path_factory.mktemp("gpu")
    done = gemma4(
        "build", checkpoint, "--out", root / "engine", "--runtime", "tensorrt_llm",
        "--precision", "bf16", "--gpu", "h100", "--slots", "2", "--max-queued", "2",
        "--max-total-tokens", "2048", "--warm", env={"GEMMA4_CACHE_DIR": str(root / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done.stdout + done.stderr


def test_warm(built: tuple[Path, str]) -> None:
    root, output = built
    manifest = read_manifest(root / "engine")
    assert manifest.warm is not None and set(manifest.warm.tokens_per_s) == {1, 2}
    assert manifest.warm.ttft_s > 0 and "first token after" in output
    assert manifest.first_tokens and not manifest.experimental
    (cache,) = (root / "cache").iterdir()
    assert "1.3.0rc29" in cache.name


def test_doctor_tries_it(built: tuple[Path, str], tmp_path: Path) -> None:
    """On a machine without a GPU the double runs, and only the missing GPU fails."""
    root, _ = built
    report = tmp_path / "report.json"
    done = gemma4("doctor", "--engine", root / "engine", "--gpu", "--report", report,
                  "--http-port", 0, "--grpc-port", 0, "--metrics-port", 0)  # fmt: skip
    assert done.returncode == 1
    sections = json.loads(report.read_text())["sections"]
    trial = {r["name"]: r for r in sections["Trial"]}
    levels = {name: r["level"] for name, r in trial.items()}
    fine = ("load", "first tokens", "pace", "cancel", "statistics", "guides", "overload", "restart")
    assert {name: levels[name] for name in (*fine, "drain")} == dict.fromkeys(
        (*fine, "drain"), "ok"
    ), trial
    assert set(levels.values()) <= {"ok", "info"}, trial
    failed = [r["name"] for results in sections.values() for r in results if r["level"] == "fail"]
    assert failed == ["GPUs"]


def test_serve(built: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = built
    served = Served(root / "engine", tmp_path / "run", env=double_env())
    try:
        with served.client() as client:
            answer = client.chat(user("What is 7 + 8?"), temperature=0.0).result().text
    finally:
        status = served.stop()
    assert status == 0 and "15" in answer
    assert "tensorrt_llm 1.3.0rc29, bf16" in "".join(served.output)


def test_a_warm_up_that_fails_leaves_the_engine(checkpoint: Path, tmp_path: Path) -> None:
    env = {"TRTLLM_DOUBLE_FAULT": "start_error=CUDA error: no device"}
    done = gemma4(
        "build", checkpoint, "--out", tmp_path / "engine", "--runtime", "tensorrt_llm",
        "--skip-verify", "--warm", env=env,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is built, but does not start here" in done.stderr and "no device" in done.stderr
    assert read_manifest(tmp_path / "engine").warm is None


def test_warm_is_for_gpus(checkpoint: Path, tmp_path: Path) -> None:
    done = gemma4("build", checkpoint, "--out", tmp_path / "e", "--warm")
    assert done.returncode == 2 and "--warm: is for --runtime tensorrt_llm only" in done.stderr
