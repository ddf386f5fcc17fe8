"""The images, as far as they can be checked without Docker."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml
from gemma4_runtime.trtllm.versions import PINNED, TRANSFORMERS
from gemma4_testing.deploy.compose_files import ROOT, parse, services
from packaging.specifiers import SpecifierSet

DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
CPU_DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile.cpu").read_text()


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def test_versions_are_those_of_the_code() -> None:
    args = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    assert args["TENSORRT_LLM_VERSION"] == PINNED
    assert args["TRANSFORMERS_VERSION"] in SpecifierSet(TRANSFORMERS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert f"nvidia-modelopt=={args['MODELOPT_VERSION']}" in extras["quantize"]
    # The first release that no HTTP header can end.
    assert float(args["TRITON_VERSION"]) >= 26.09


@pytest.mark.parametrize("text", [DOCKERFILE, CPU_DOCKERFILE], ids=["gpu", "cpu"])
def test_the_images_shell_is_valid(text: str) -> None:
    runs = [re.sub(r"--mount=\S+", "", rest) for name, rest in instructions(text) if name == "RUN"]
    assert len(runs) >= 4
    for script in runs:
        subprocess.run(["bash", "-n", "-c", script], check=True)


def test_what_is_copied_into_the_image() -> None:
    """The build context holds every package of the wheel."""
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())
    target = wheel["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {path.split("/")[0] for path in [*target["packages"], *target["force-include"]]}
    assert needed <= kept
    assert {"pyproject.toml", wheel["project"]["readme"], "LICENSE"} <= kept
    assert "[runtime,otel]" in DOCKERFILE and "runtime" in wheel["project"]["optional-dependencies"]


def test_scripts_of_the_gpu_image() -> None:
    """They are in the build context, they are shell, and the last step of the image is the check."""
    assert "!deploy/docker/gpu" in (ROOT / ".dockerignore").read_text().splitlines()
    folder = ROOT / "deploy/docker/gpu"
    used = set(re.findall(r"/gpu/([a-z_.]+)", DOCKERFILE))
    assert used == {p.name for p in folder.iterdir() if p.suffix in (".sh", ".py")}
    for script in folder.glob("*.sh"):
        subprocess.run(["sh", "-n", script], check=True)
    runs = [rest for name, rest in instructions(DOCKERFILE) if name == "RUN"]
    assert runs[-1].endswith("sh /gpu/check.sh")


def test_the_serve_command_is_one_that_we_have() -> None:
    (command,) = [rest for name, rest in instructions(DOCKERFILE) if name == "CMD"]
    params = parse(yaml.safe_load(command))
    build = parse(services("gpu", GPU="h100")["engine-build"]["command"])
    assert params["engine"] == build["out"]


def test_the_cpu_image_serves_the_engine_that_it_builds() -> None:
    lines = instructions(CPU_DOCKERFILE)
    (built,) = [rest.split() for name, rest in lines if name == "RUN" and "gemma4 build" in rest]
    build, served = parse(built), parse(yaml.safe_load(lines[-1][1]))
    assert lines[-1][0] == "CMD"
    assert build["out"] == served["engine"]
    assert parse(services()["triton"]["command"])["engine"] == served["engine"]
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert f"!{build['checkpoint']}" in kept and "!requirements.lock" in kept


def test_the_cpu_image_is_pinned_and_not_root() -> None:
    assert re.search(r"^ARG BASE=\S+:bookworm-\d{8}-slim$", CPU_DOCKERFILE, re.MULTILINE)
    assert "PIP_CONSTRAINT=/src/requirements.lock" in CPU_DOCKERFILE
    stages = re.split(r"^FROM ", CPU_DOCKERFILE, flags=re.MULTILINE)[1:]
    for target in ("load", "serve"):
        (stage,) = [s for s in stages if s.splitlines()[0].endswith(f" AS {target}")]
        assert re.search(r"^USER (\d+):(\d+)$", stage, re.MULTILINE)
        assert "COPY . ." not in stage
