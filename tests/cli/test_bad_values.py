"""Every number on the command line refuses a wrong value with its name, the value and a right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from gemma4_cli.limits import MOST_QUEUED, MOST_SLOTS
from gemma4_cli.main import app
from gemma4_runtime import manifest

DEMO = Path(__file__).parents[2] / "demo" / "checkpoint"


def _numbers() -> list[tuple[tuple[str, ...], Any]]:
    """(command, option) of every command and group."""
    found = []

    def look(words: tuple[str, ...], command: Any) -> None:
        for param in command.params:
            kind = str(param.type_descriptor.annotation)
            if "int" in kind or "float" in kind:
                found.append((words, param))
        for name, below in getattr(command, "commands", {}).items():
            look((*words, name), below)

    look((), typer.main.get_group(app))
    return found


NUMBERS = _numbers()
GROUP = typer.main.get_group(app)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr."""
    assert GROUP.main(list(words), prog_name="gemma4", standalone_mode=False) == 2
    (text,) = capsys.readouterr().err.strip().splitlines()
    return text


def test_every_command_is_looked_at() -> None:
    commands = {words for words, _ in NUMBERS}
    assert {("build",), ("serve",), ("gateway",), ("doctor",), ("load",)} <= {
        c[:1] for c in commands
    }
    assert len(NUMBERS) > 40


def test_every_number_is_bounded() -> None:
    """Without a bound, each place that computes with it would have to look. Those of a build are
    looked at below."""
    unbounded = [
        (*words, param.opts[0])
        for words, param in NUMBERS
        if words != ("build",) and (param.min is None or param.max is None)
    ]
    assert unbounded == [("load", "--burstiness")]


@pytest.mark.parametrize(
    "option", [param.opts[0] for words, param in NUMBERS if words == ("build",)]
)
def test_a_build_refuses_numbers_that_are_too_large(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    runtime = "llama_cpp"
    if "per-s" in option or option == "--tokens-per-step":
        runtime = "synthetic"
    elif option in ("--tp", "--ep") or "calibration" in option:
        runtime = "tensorrt_llm"
    words = ["build", str(DEMO), "--out", str(tmp_path / "e"), "--runtime", runtime]
    words += ["--precision", "nvfp4"] if runtime == "tensorrt_llm" else []
    for value in (10**9 + 1, 10**30):
        assert GROUP.main([*words, option, str(value)], "gemma4", standalone_mode=False) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert (
            option in last and str(float(value) if option.endswith("per-s") else value) in last
        ), last
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("value", ["0", "-1", "10001"])
def test_a_burstiness_out_of_range(capsys: pytest.CaptureFixture[str], value: str) -> None:
    text = refused(capsys, "load", "--rate", "1", "--arrival", "gamma", "--burstiness", value)
    assert text == f"gemma4: --burstiness {float(value)}: must be above 0, up to 10000"


@pytest.mark.parametrize("value", ["0", "100001", "9" * 5000, "²", "1,x"])
def test_a_concurrency_out_of_range(capsys: pytest.CaptureFixture[str], value: str) -> None:
    text = refused(capsys, "load", "--concurrency", value)
    assert text.endswith("must be a whole number from 1 to 100000")


def test_the_bounds_are_those_of_a_manifest() -> None:
    assert (MOST_SLOTS, MOST_QUEUED) == (manifest.MOST_SLOTS, manifest.MOST_QUEUED)


@pytest.mark.parametrize(
    ("words", "param"), NUMBERS, ids=[f"{' '.join(w)} {p.opts[0]}" for w, p in NUMBERS]
)
def test_wrong_numbers(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], param: Any
) -> None:
    option = max(param.opts, key=len)
    whole = "float" not in str(param.type_descriptor.annotation)
    wanted = "must be a whole number" if whole else "must be a number"
    for value in ("many", "1,5"):
        text = refused(capsys, *words, f"{option}={value}")
        assert text.startswith(f"gemma4: {option} {value}: {wanted}"), text
        for bound in (param.min, param.max):
            assert bound is None or str(bound) in text
        if isinstance(param.default, int | float):
            assert text.endswith(f", such as {param.default}, the default")
    for bound, step in ((param.min, -1), (param.max, 1)):
        if bound is not None:
            text = refused(capsys, *words, f"{option}={bound + step}")
            assert text.startswith(f"gemma4: {option} {bound + step}: must be "), text
            assert str(bound) in text


@pytest.mark.parametrize(
    ("command", "variable", "option"),
    [
        (("serve", "--engine=x"), "GRPC_PORT", "--grpc-port"),
        (("gateway",), "GATEWAY_PORT", "--port"),
    ],
)
def test_variables_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...], variable: str, option: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(variable, "abc")
    text = refused(capsys, *command)
    wanted = f"gemma4: {option} abc (variable {variable}): must be a whole number, from 0 to 65535"
    assert text.startswith(wanted)


@pytest.mark.parametrize(
    ("words", "prefix"),
    [(("gateway",), "GEMMA4_GATEWAY_"), (("serve", "--engine=x"), "GEMMA4_SERVE_")],
)
def test_every_option_is_a_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], prefix: str,
) -> None:  # fmt: skip
    """Numbers and switches, which alone have wrong values before anything runs; but for the port of
    the gateway: Kubernetes sets GEMMA4_GATEWAY_PORT by itself."""
    tried = 0
    params: list[Any] = GROUP.commands[words[0]].params
    for param in params:
        kind = str(param.type_descriptor.annotation)
        if not any(name in kind for name in ("int", "float", "bool")) or param.name == "help":
            continue
        variable = prefix + param.name.upper()
        monkeypatch.setenv(variable, "odd")
        if variable == "GEMMA4_GATEWAY_PORT":
            monkeypatch.setenv("GEMMA4_GATEWAY_TIMEOUT", "never")
            assert "--timeout never" in refused(capsys, *words)
            monkeypatch.delenv("GEMMA4_GATEWAY_TIMEOUT")
        else:
            text = refused(capsys, *words)
            option = max(param.opts, key=len)
            assert text.startswith(f"gemma4: {option} odd (variable {variable}): must be "), text
            tried += 1
        monkeypatch.delenv(variable)
    assert tried > 9
