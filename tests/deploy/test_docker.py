"""The image and the compose file, as far as they can be checked without Docker."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from gemma4_cli.main import app
from gemma4_runtime.trtllm.versions import PINNED, TRANSFORMERS
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
ENV = {"GPU": "h100", "CHECKPOINT": "/models/x"}


def interpolate(text: str, env: dict[str, str]) -> str:
    """${NAME}, ${NAME:-default} and ${NAME:?message}, as compose does."""

    def value(match: re.Match) -> str:
        name, kind, rest = match[1], match[2], match[3]
        if env.get(name):
            return env[name]
        if kind == ":?":
            raise KeyError(rest)
        return rest or ""

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


def services(**env: str) -> dict[str, Any]:
    return yaml.safe_load(interpolate(COMPOSE, ENV | env))["services"]


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def test_versions_are_those_of_the_code() -> None:
    args = dict(re.findall(r"^ARG (\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    assert args["TENSORRT_LLM_VERSION"] == PINNED
    assert args["TRANSFORMERS_VERSION"] in SpecifierSet(TRANSFORMERS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert f"nvidia-modelopt=={args['MODELOPT_VERSION']}" in extras["quantize"]
    assert float(args["TRITON_VERSION"]) >= 26.07


def test_the_images_shell_is_valid() -> None:
    runs = [re.sub(r"--mount=\S+", "", rest) for name, rest in instructions() if name == "RUN"]
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
    assert "[runtime]" in DOCKERFILE and "runtime" in wheel["project"]["optional-dependencies"]


def test_libraries_that_are_taken_from_triton() -> None:
    """The filter keeps what the base may lack and never glibc, the driver or Triton's own."""
    pattern = re.search(r"grep -v -E '([^']+)'", DOCKERFILE)[1]
    lines = {
        "/lib/x86_64-linux-gnu/libb64.so.0d": True,
        "/lib/x86_64-linux-gnu/libre2.so.10": True,
        "/lib/x86_64-linux-gnu/libdcgm.so.4": True,
        "/usr/local/cuda/lib64/libcudart.so.13": True,
        "/lib/x86_64-linux-gnu/libcurl.so.4": True,
        "/lib/x86_64-linux-gnu/libc.so.6": False,
        "/lib/x86_64-linux-gnu/libstdc++.so.6": False,
        "/lib64/ld-linux-x86-64.so.2": False,
        "/lib/x86_64-linux-gnu/libcuda.so.1": False,
        "/opt/tritonserver/lib/libtritonserver.so": False,
    }
    kept = subprocess.run(
        ["grep", "-v", "-E", pattern], input="\n".join(lines), capture_output=True, text=True
    ).stdout.split()
    assert kept == [line for line, keep in lines.items() if keep]


def parse(command: list[str]) -> dict[str, Any]:
    """Parse ``gemma4 ...`` with the real command line; nothing runs."""
    assert command[0] == "gemma4"
    found = typer.main.get_command(app).commands[command[1]]
    return found.make_context(command[1], list(command[2:])).params


def test_the_build_command_is_one_that_we_have() -> None:
    params = parse(list(map(str, services(TP="2", PRECISION="bf16")["engine-build"]["command"])))
    assert params["runtime"] == "tensorrt_llm" and params["precision"] == "bf16"
    assert params["tp"] == 2 and params["ep"] == 1 and params["gpu"] == "h100"
    assert params["checkpoint"] == Path("/checkpoint")


def test_the_serve_command_is_one_that_we_have() -> None:
    (command,) = [rest for name, rest in instructions() if name == "CMD"]
    params = parse(yaml.safe_load(command))
    build = list(map(str, services()["engine-build"]["command"]))
    assert str(params["engine"]) == build[build.index("--out") + 1]


@pytest.mark.parametrize("missing", ["GPU", "CHECKPOINT"])
def test_what_must_be_set_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=f"set {missing} to"):
        services(**{missing: ""})


def test_services() -> None:
    found = services()
    triton, build = found["triton"], found["engine-build"]
    assert triton["depends_on"]["engine-build"]["condition"] == "service_completed_successfully"
    for service in (triton, build):
        assert service["ulimits"] == {"memlock": -1, "stack": 67108864}
        assert service["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 1
        assert service["shm_size"] == "16g"
    assert all(port.startswith("127.0.0.1:") for port in triton["ports"])
    assert services(BIND="0.0.0.0")["triton"]["ports"][0].startswith("0.0.0.0:8000:")
    assert build["restart"] == "no" and triton["restart"] == "unless-stopped"
