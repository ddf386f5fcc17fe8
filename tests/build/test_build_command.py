"""``gemma4 build`` as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from gemma4_build.progress import ConsoleReporter
from gemma4_cli.build import build
from rich.console import Console
from typer.testing import CliRunner

app = typer.Typer()
app.command()(build)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_build_and_build_again(tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    code, stdout, stderr = run(tiny_source, "--out", out, "--precision", "int8", "--slots", "2")
    assert code == 0
    assert "engine built: llama_cpp, int8" in stdout
    assert "top-1 agreement" in stdout
    assert "Verifying: 12 prompts" in stderr
    code, stdout, _ = run(
        tiny_source, "--out", out, "--precision", "int8", "--slots", "2", "--json"
    )
    report = json.loads(stdout)
    assert (code, report["status"], report["verified"]) == (0, "up_to_date", True)
    assert report["quality"]["positions"] > 100


def test_skipping_verification_is_printed(tiny_source: Path, tmp_path: Path) -> None:
    code, stdout, _ = run(tiny_source, "--out", tmp_path / "engine", "--skip-verify")
    assert code == 0
    assert "not verified: skipped by --skip-verify" in stdout


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--precision", "int3"), 2, "--precision int3"),
        (("--byte-tokens", "utf16"), 2, "--byte-tokens utf16"),
        (("--runtime", "synthetic", "--precision", "int4"), 2, "--precision: the synthetic"),
        (("--runtime", "synthetic", "--skip-verify"), 2, "--skip-verify: the synthetic"),
        (("--max-total-tokens", "999999"), 2, "context is 2048"),
        (("--runtime", "vllm"), 2, "--runtime vllm"),
        (("--tp", "2"), 2, "--tp: is for --runtime tensorrt_llm only"),
        (("--runtime", "tensorrt_llm", "--tp", "3"), 2, "--tp 3"),
    ],
)
def test_errors_are_one_line(
    arguments: tuple[str, ...], code: int, word: str, tiny_source: Path, tmp_path: Path
) -> None:
    found, stdout, stderr = run(tiny_source, "--out", tmp_path / "engine", *arguments)
    assert found == code
    assert stdout == ""
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert word in stderr
    found, stdout, _ = run(tiny_source, "--out", tmp_path / "engine", "--json", *arguments)
    report = json.loads(stdout)
    assert (found, report["status"], report["exit_code"]) == (code, "failed", code)
    assert not list(tmp_path.iterdir())


def test_failure_is_exit_code_1(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemma4_build.verify import thresholds

    monkeypatch.setitem(thresholds.THRESHOLDS, "int8", {"top1_agreement": 1.1})
    code, _, stderr = run(tiny_source, "--out", tmp_path / "engine")
    assert code == 1
    assert "top1_agreement is 1, least 1.1" in stderr or "least 1.1" in stderr
    assert not list(tmp_path.iterdir())


def test_interrupt(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gemma4_build.pipeline.convert_tensors", interrupt)
    code, _, stderr = run(tiny_source, "--out", tmp_path / "engine")
    assert code == 130
    assert "goes on where it was" in stderr
    assert not (tmp_path / "engine").exists()


def test_plain_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 5.0, 20.0])
    monkeypatch.setattr("gemma4_build.progress.time.monotonic", lambda: next(clock))
    console = Console(width=200, record=True, force_terminal=False)
    with ConsoleReporter(console).bytes("Converting", total=4_000_000_000) as tick:
        tick(1_000_000_000)
        tick(1_000_000_000)
    text = console.export_text()
    assert text == "Converting: 50% of 4.00 GB, 100 MB/s, 20 s left\n"


def test_a_bar_on_a_terminal() -> None:
    console = Console(width=120, record=True, force_terminal=True)
    with ConsoleReporter(console).bytes("Converting", total=1000) as tick:
        tick(1000)
    assert "1.0/1.0 kB" in console.export_text()
