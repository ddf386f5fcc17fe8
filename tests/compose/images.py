"""The images of the test: ours from their Dockerfile, and stand-ins for the monitoring."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from container import build_volumes

__all__ = ["ROOT", "build", "megabytes", "name_of"]

ROOT = Path(__file__).resolve().parents[2]


def name_of(target: str, tag: str = "test") -> str:
    return f"localhost/gemma4-compose-{target}:{tag}"


def build(
    base: str, dockerfile: Path, target: str, context: Path, name: str = "", *options: str
) -> str:
    """Name of the image of one target of ``dockerfile``, built on ``base``. Steps that were built
    before are taken from podman's cache, unless ``options`` of ``podman build`` say otherwise."""
    name = name or name_of(target)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["podman", "build", "--network=host", f"--build-arg=BASE={base}", f"--target={target}",
             f"--tag={name}", f"--file={dockerfile}", *options, *build_volumes(Path(folder)),
             str(context)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{dockerfile}, {target}: {done.stdout[-4000:]}")
    return name


def megabytes(image: str) -> float:
    """Of the image and all that it is built on."""
    size = subprocess.check_output(
        ["podman", "image", "inspect", "--format={{.Size}}", image], text=True
    )
    return int(size) / 1e6
