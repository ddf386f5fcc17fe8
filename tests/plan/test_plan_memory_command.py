"""``gemma4 plan memory`` and ``gemma4 plan catalog`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.request import BuildRequest
from gemma4_cli.main import app
from gemma4_plan.catalog import BUILT_IN, read_catalog
from gemma4_runtime.trtllm.setup import PRECISIONS
from typer.testing import CliRunner

H200 = ("--gpu", "h200", "--precision", "bf16")


def run(*words: str) -> tuple[int, str, str]:
    ran = CliRunner(env={"COLUMNS": "140"}).invoke(app, ["plan", *words])
    return ran.exit_code, ran.stdout, ran.stderr


def answers(*words: str) -> list[dict[str, Any]]:
    _, text, _ = run("memory", *words, "--json")
    return list(json.loads(text)["result"]["answers"])


def test_one_gpu() -> None:
    (found,) = answers(*H200, "--tokens", "2048,8192")
    assert (found["status"], found["fits"]) == ("yes", "yes")
    assert found["weight_bytes"]["weights"] == 51_640_708_252
    assert [room["tokens"] for room in found["requests"]] == [2048, 8192]
    assert found["requests"][1]["kv_bytes"] == 1088 * 204_800 + 8192 * 20_480
    low, high = found["requests"][1]["at_once"]
    assert 150 < low <= high < 250
    whole = sum(
        value if isinstance(value, int) else value[0]
        for value in (
            found["weight_bytes"]["weights"], found["runtime_bytes"][::-1],
            found["activation_bytes"][::-1], found["kv_pool_bytes"], found["left_free_bytes"],
        )
    )  # fmt: skip
    assert whole == pytest.approx(found["memory_bytes"])


def test_the_panel_says_the_same() -> None:
    code, text, _ = run("memory", *H200)
    assert code == 0
    for words in ("H200 · bf16 · tp 1", "weights", "48.1 GiB", "KV cache", "yes: BF16 on Hopper"):
        assert words in text
    assert "gemma4 build " in text.splitlines()[-1]


def test_the_build_command_is_one_that_build_takes() -> None:
    """The words after `gemma4 build` are parsed by the command itself."""
    (found,) = answers("--gpu", "b200", "--precision", "fp8", "--tp", "4", "--ep", "0")
    words = found["build"].split()
    assert words[:3] == ["gemma4", "build", "/models/gemma-4-26B-A4B-it"]
    ran = CliRunner().invoke(app, words[1:])
    assert "checkpoint" in ran.output.lower() or "not found" in ran.output
    assert "No such option" not in ran.output
    low, _ = found["requests"][0]["at_once"]
    assert f"--tp 4 --ep 4 --slots {low} --max-total-tokens 8192" in found["build"]


def test_all_gpus_and_precisions() -> None:
    found = answers()
    pairs = {(answer["gpu"], answer["precision"]) for answer in found}
    assert pairs == {(gpu, precision) for gpu in read_catalog().gpus for precision in PRECISIONS}
    code, text, _ = run("memory")
    assert code == 0 and "DGX Spark GB10" in text and "experimental" in text


def test_all_precisions_of_a_split_that_some_cannot_do() -> None:
    found = {a["precision"]: a for a in answers("--gpu", "b200", "--tp", "4")}
    assert found["bf16"]["status"] == "experimental"
    assert found["fp8"]["status"] == "no" and "use --ep 4" in found["fp8"]["reason"]
    assert run("memory", "--gpu", "b200", "--tp", "4")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (H200, 0),
        (("--gpu", "l4", "--precision", "bf16"), 1),
        (("--gpu", "h100", "--precision", "nvfp4"), 1),
        (("--gpu", "cpu", "--precision", "int4", "--memory-gb", "12"), 1),
        (("--gpu", "cpu", "--precision", "int4", "--memory-gb", "24"), 0),
        (("--gpu", "cpu"), 0),
    ],
)
def test_exit_status(words: tuple[str, ...], code: int) -> None:
    assert run("memory", *words)[0] == code


def test_a_cpu() -> None:
    (found,) = answers("--gpu", "cpu", "--precision", "int4", "--memory-gb", "24")
    room = found["requests"][0]
    assert room["total_bytes"] < 17.9e9
    assert room["at_once"][0] >= BuildRequest(checkpoint=Path("a"), out=Path("b")).slots
    assert found["build"].endswith("--precision int4 --slots 4 --max-total-tokens 8192")
    (none,) = answers("--gpu", "cpu", "--precision", "int4", "--memory-gb", "12")
    assert none["build"] == "" and none["requests"][0]["at_once"] == [0, 0]
    (unknown,) = answers("--gpu", "cpu", "--precision", "f32")
    assert unknown["requests"][0]["at_once"] is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--gpu", "h2000"), "--gpu h2000: is not in the catalog; did you mean h200?"),
        (("--tokens", "300000"), "--tokens 300000: the model's context is 262144 tokens"),
        (("--tokens", "2048,,4096"), "nothing is no length; give prompt and answer"),
        (("--tokens", "-5"), "--tokens -5: -5 is no length"),
        (("--tokens", "many"), "many is no length"),
        (("--precision", "fp4"), "--precision fp4: known are bf16, fp8, nvfp4, int4"),
        (("--gpu", "cpu", "--precision", "nvfp4"), "known are f32, bf16, int8, int4"),
        (("--gpu", "cpu", "--tp", "2"), "--tp: is for GPUs only"),
        (("--gpu", "cpu", "--pad-experts"), "--pad-experts: is for GPUs only"),
        (("--memory-gb", "24"), "--memory-gb 24: is for --gpu cpu only"),
        (("--preset", "fast"), "--preset fast: known are latency, throughput, long-context"),
        (("--quantize", "all"), "--quantize all: known are experts, mlp"),
        ((*H200, "--quantize", "mlp"), "--quantize mlp: is for --precision nvfp4 only"),
        ((*H200, "--tp", "2", "--ep", "3"), "--ep must divide --tp"),
        ((*H200, "--tp", "3"), "16 attention heads"),
    ],
)
def test_bad_questions(words: tuple[str, ...], says: str) -> None:
    code, _, text = run("memory", *words)
    assert code == 2
    (line,) = text.strip().splitlines()
    assert line.startswith("gemma4: ") and says in line


def test_the_catalog_as_a_file(tmp_path: Path) -> None:
    code, text, _ = run("catalog", "--yaml")
    assert code == 0 and text == BUILT_IN.read_text(encoding="utf-8")
    file = tmp_path / "gpus.yaml"
    file.write_text(text.replace("memory_gb: 141", "memory_gb: 142"), encoding="utf-8")
    assert json.loads(run("catalog", "--json", "--catalog", str(file))[1])["result"]["gpus"]["h200"][
        "memory_gb"
    ] == 142  # fmt: skip
    assert run("memory", *H200, "--catalog", str(file))[0] == 0


def test_the_catalog_as_a_table() -> None:
    code, text, _ = run("catalog")
    assert code == 0 and "4,800" in text and "\n1. https://" in text
    assert run("catalog", "--yaml", "--json")[0] == 2
