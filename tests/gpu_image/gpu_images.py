"""Builds the stand-ins of the base images, and the GPU image on them. Standard library only."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from container import build_volumes

__all__ = ["NAME", "build_all", "megabytes"]

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "deploy/docker/gpu/tensorrt_llm-1.3.0rc29.txt"
NAME = "localhost/gemma4-gpu-image:test"
DOUBLE = ROOT / "testing/gemma4_testing/doubles/tensorrt_llm"


def build_all(debian: str) -> dict[str, str]:
    """Build the two stand-ins on ``debian``, then the image on them; target to name."""
    names = {
        target: _timed(target, build_stand_in, debian, target) for target in ("triton", "base")
    }
    names["image"] = _timed("image", build_image, names["base"], names["triton"])
    return names


def _timed(target: str, build: Callable[..., str], *args: str) -> str:
    began = time.monotonic()
    name = build(*args)
    print(
        f"       {target}: {megabytes(name):.0f} MB, {time.monotonic() - began:.0f} s", flush=True
    )
    return name


def build_stand_in(debian: str, target: str) -> str:
    """Name of the image of one target of the Dockerfile beside this file."""
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for file in ("base.py", "entrypoint.sh"):
            shutil.copy(here / file, context)
        shutil.copy(REQUIREMENTS, context / "requirements.txt")
        shutil.copytree(DOUBLE, context / "tensorrt_llm", ignore=shutil.ignore_patterns("__pyc*"))
        return _build(
            f"localhost/gemma4-gpu-{target}:stand-in", here / "Dockerfile", context,
            f"--target={target}", f"--build-arg=DEBIAN={debian}",
        )  # fmt: skip


def build_image(base: str, triton: str) -> str:
    """Name of the image of deploy/docker/Dockerfile, which is built as it is."""
    return _build(
        NAME, ROOT / "deploy/docker/Dockerfile", ROOT,
        f"--build-arg=BASE={base}", f"--build-arg=TRITON_BASE={triton}",
    )  # fmt: skip


def _build(name: str, dockerfile: Path, context: Path, *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["podman", "build", "--network=host", f"--tag={name}", f"--file={dockerfile}",
             "--format=docker", *options, *build_volumes(Path(folder)), str(context)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{dockerfile}: {done.stdout[-6000:]}")
    print(
        "".join(f"       {line}\n" for line in done.stdout.splitlines() if _telling(line)), end=""
    )
    return name


def _telling(line: str) -> bool:
    return line.startswith(("Successfully installed", "quantize: ", "tensorrt_llm", "llguidance"))


def megabytes(image: str) -> float:
    """Of the image and all that it is built on."""
    size = subprocess.check_output(
        ["podman", "image", "inspect", "--format={{.Size}}", image], text=True
    )
    return int(size) / 1e6
