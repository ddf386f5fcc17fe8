"""Install what the stand-in of the base has. Standard library only.

usage: base.py REQUIREMENTS FOLDER
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REAL = {
    "click", "fastapi", "jinja2", "jsonschema", "llguidance", "msgspec", "numpy", "nvidia-ml-py",
    "packaging", "prometheus-client", "protobuf", "psutil", "pydantic", "pydantic-settings",
    "python-multipart", "pyzmq", "safetensors", "sentencepiece", "setuptools", "starlette",
    "transformers", "uvicorn", "uvloop",
}  # fmt: skip
"""Small enough to be installed. The others are empty distributions of a version that suits."""

FOR_THE_DOUBLE = ["xllamacpp==2026.10.11549"]

NUMPY = "1.26.4"
"""Triton 2.51's stub aborts with numpy 2, which the base requires: so numpy 1 stands there under
the version of the numpy 2 that pip chose."""


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def version_of(requirement: str) -> str:
    """The newest that a requirement names, which every one of them allows, or 1.0."""
    bounds = re.findall(r"(==|~=|>=|<=)\s*([0-9][^,;\s]*)", requirement.partition(";")[0])
    allowed = [v for op, v in bounds if op in ("==", "~=", "<=")] or [v for _, v in bounds]
    return allowed[0] if allowed else "1.0"


def distribution(folder: Path, name: str, version: str, requires: list[str]) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join([*lines, "", ""]))
    (info / "RECORD").write_text("")
    (info / "INSTALLER").write_text("stand-in\n")


def numpy_of_triton(pip: list[str], folder: Path) -> None:
    (chosen,) = folder.glob("numpy-2*.dist-info")
    subprocess.run([*pip, "--no-deps", "--force-reinstall", f"numpy=={NUMPY}"], check=True)
    (own,) = folder.glob(f"numpy-{NUMPY}.dist-info")
    version = chosen.name.removesuffix(".dist-info").removeprefix("numpy-")
    metadata = own / "METADATA"
    metadata.write_text(metadata.read_text().replace(f"Version: {NUMPY}", f"Version: {version}", 1))
    own.rename(chosen)


def main(requirements: Path, folder: Path) -> None:
    lines = [x for x in requirements.read_text().splitlines() if x and not x.startswith("#")]
    pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--break-system-packages",
           "--root-user-action=ignore"]  # fmt: skip
    real = [line for line in lines if name_of(line) in REAL]
    subprocess.run([*pip, *real], check=True)
    subprocess.run([*pip, "--no-deps", *FOR_THE_DOUBLE], check=True)
    numpy_of_triton(pip, folder)
    versions = {name_of(x): version_of(x) for x in lines if name_of(x) not in REAL}
    for name, version in versions.items():
        distribution(folder, name, version, [])
    distribution(folder, "tensorrt_llm", "1.3.0rc29", lines)
    (folder / "torch.py").write_text(f"__version__ = {versions['torch']!r}\n")
    # NVIDIA's images have such a file, and PIP_CONSTRAINT names it.
    Path("/etc/pip").mkdir(exist_ok=True)
    Path("/etc/pip/constraint.txt").write_text("transformers==5.5.4\nsetuptools<80\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
