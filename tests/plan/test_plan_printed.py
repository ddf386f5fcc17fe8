"""Whatever a plan prints is accepted by what it is for: the build's options, Compose's files, the
chart, and the plan's own command line. The chart's values of every GPU are kept in
tests/deploy/plan_values.yaml (`UPDATE_DOCS=1 pytest` on this file writes it), which Helm's own
engine renders in tests/helm_chart."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemma4_plan.simulate as simulation
import pytest
import yaml
from gemma4_cli.main import app
from gemma4_plan.catalog import CPU, read_catalog
from gemma4_plan.simulate import Fleet, Outcome, Traffic
from gemma4_testing.deploy.compose_files import ROOT, parse, services
from typer.testing import CliRunner

VALUES = ROOT / "tests" / "deploy" / "plan_values.yaml"
GPUS = [name for name in read_catalog().gpus if name != CPU]
NOT_RANKED = {
    "a100": "no test of Gemma 4 before Hopper",
    "l4": "the catalog has no bandwidth_gbs",
    "l40s": "refuses the architecture",
    "h100-nvl": "the catalog has no bandwidth_gbs",
    "gh200": "the catalog has no bandwidth_gbs",
    "gb200": "the catalog has no bandwidth_gbs",
}
"""For which nothing is printed, and why."""
USUAL = {"tp": 1, "ep": 1, "preset": "throughput"}
"""What a build takes unless it is told."""
SMALL = ("--rate", "2", "--peak", "3", "--prompt-tokens", "600", "--output-tokens", "100",
         "--itl-ms", "80", "--max-streams", "8")  # fmt: skip


def printed(*words: str) -> tuple[int, str]:
    ran = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["plan", *words])
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.stdout + ran.stderr


def after(text: str, heading: str) -> list[str]:
    """The lines below a heading, to the next one."""
    lines = text.splitlines()
    (start,) = [at for at, line in enumerate(lines) if line.startswith(heading)]
    rest = lines[start + 1 :]
    headings = ("Build the engine:", "Or Compose:", "Or Kubernetes:", "helm install", "report:")
    end = next((at for at, line in enumerate(rest) if line.startswith(headings)), len(rest))
    return [line for line in rest[:end] if line]


@pytest.fixture(scope="module")
def fits() -> dict[str, str]:
    found = {}
    for name in GPUS:
        code, text = printed("fit", "--gpu", name, "--rate", "5", "--itl-ms", "200")
        if name in NOT_RANKED:
            assert code == 2 and NOT_RANKED[name] in text
        else:
            assert code == 0, text
            found[name] = text
    return found


def test_the_build_is_accepted_for_every_gpu(fits: dict[str, str]) -> None:
    for name, text in fits.items():
        (command,) = after(text, "Build the engine:")
        params = parse(shlex.split(command))
        assert params["runtime"] == "tensorrt_llm" and params["gpu"], name


def test_the_lines_of_env_are_composes_for_every_gpu(fits: dict[str, str]) -> None:
    settable = set(re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    for name, text in fits.items():
        env = dict(line.split("=", 1) for line in after(text, "Or Compose:"))
        assert set(env) <= settable, name
        (command,) = after(text, "Build the engine:")
        wanted = parse(shlex.split(command))
        made = parse(services("gpu", **env)["engine-build"]["command"])
        for option in ("gpu", "precision", "tp", "ep", "slots", "max_total_tokens", "preset"):
            usual = USUAL.get(option)
            assert (made[option] or usual) == (wanted[option] or usual), (name, option)


def test_the_values_that_helm_renders_are_those_that_are_printed(fits: dict[str, str]) -> None:
    found: dict[str, Any] = {
        f"fit-{name}": yaml.safe_load("\n".join(after(text, "Or Kubernetes:")))
        for name, text in fits.items()
    }
    code, text = printed("capacity", "--gpu", "h200", *SMALL)
    assert code == 0, text
    found["capacity-h200"] = yaml.safe_load("\n".join(after(text, "Or Kubernetes:")))
    text = "# Printed by `gemma4 plan`, for tests/helm_chart. tests/plan/test_plan_printed.py writes it.\n"
    text += yaml.safe_dump(found, sort_keys=True)
    if os.environ.get("UPDATE_DOCS"):
        VALUES.write_text(text, encoding="utf-8")
    assert VALUES.read_text(encoding="utf-8") == text, "UPDATE_DOCS=1 pytest writes it anew"


@pytest.mark.parametrize("own", [False, True])
def test_the_printed_check_runs(own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same fleet as was planned, from the catalog or from one's own with a space in its
    name. Ten minutes of the day are enough."""
    more: tuple[str, ...] = ()
    gpu = "h100"
    if own:
        file = tmp_path / "my gpus.yaml"
        code, text = printed("catalog", "--yaml")
        assert code == 0
        file.write_text(re.sub(r"^  h100:$", "  mine:", text, flags=re.M))
        gpu, more = "mine", ("--catalog", str(file))
    code, text = printed(
        "capacity", "--gpu", gpu, "--rate", "12", "--peak", "3", "--prompt-tokens", "600",
        "--output-tokens", "100", "--itl-ms", "40", "--max-streams", "8", *more,
    )  # fmt: skip
    assert code == 0, text
    (command,) = [line for line in text.splitlines() if line.startswith("gemma4 plan simulate")]
    seen: list[tuple[Traffic, Fleet]] = []
    original = simulation.simulate

    def short(traffic: Traffic, fleet: Fleet, *args: Any, **rest: Any) -> Outcome:
        seen.append((traffic, fleet))
        top = max(rate for _, rate in traffic.rates)
        return original(replace(traffic, rates=((0.0, top), (600.0, top))), fleet, *args, **rest)

    monkeypatch.setattr(simulation, "simulate", short)
    words = shlex.split(command)
    assert words[:3] == ["gemma4", "plan", "simulate"]
    code, said = printed("simulate", *words[3:])
    assert code in (0, 1), said
    traffic, fleet = seen[0]
    assert traffic.mean_rate == pytest.approx(12, rel=0.01)
    assert fleet.autoscaling is not None and fleet.autoscaling.most >= 3
    assert fleet.replica.slots == 8


def test_every_command_of_the_page_is_accepted() -> None:
    """Those that plan, with values of their own: the options must exist."""
    text = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^gemma4 plan [^#\n>]*", text, re.M)
    assert len(commands) > 12
    group: Any = parse.__globals__["typer"].main.get_group(app).commands["plan"]
    for command in commands:
        words = shlex.split(command)
        assert group.commands[words[2]].make_context(words[2], words[3:]), command
