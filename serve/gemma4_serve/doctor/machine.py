"""Memory, shared memory, processors, software."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gemma4_runtime.engines.llama_cpp.instructions import read_instructions
from gemma4_runtime.machine import available_memory
from gemma4_runtime.trtllm.versions import PINNED, TRANSFORMERS
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gemma4_serve.doctor.report import Result
from gemma4_serve.errors import ServeError
from gemma4_serve.install import find_triton
from gemma4_serve.ports import Ports, claim_ports
from gemma4_serve.process_checks import check_shm
from gemma4_serve.triton_version import outdated, stated_version

__all__ = ["check_machine", "check_ports", "check_software"]

_PACKAGES = ("gemma4-triton", "tritonclient", "nvidia-pytriton", "xllamacpp", "tokenizers", "torch")


def check_machine() -> list[Result]:
    """Check processors, memory and /dev/shm."""
    return [
        Result("system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Result("processors", "ok", f"{len(os.sched_getaffinity(0))} cores for this process"),
        Result("memory", "ok", f"{available_memory() / 2**30:.1f} GiB available"),
        _shm(),
    ]


def _shm() -> Result:
    try:
        check_shm()
    except ServeError as error:
        return Result("/dev/shm", "fail", str(error))
    return Result("/dev/shm", "ok", f"{shutil.disk_usage('/dev/shm').free / 2**30:.2f} GiB free")


def check_software() -> list[Result]:
    """Check Python, packages, the Triton server, TensorRT-LLM and the transformers beside it."""
    results = [Result("Python", "ok", platform.python_version())]
    for name in _PACKAGES:
        found = _version(name)
        results.append(Result(name, "ok" if found else "info", found or "not installed"))
    if instructions := read_instructions():
        results.append(Result("llama.cpp", "ok", f"instructions in use: {instructions.words()}"))
    results.append(_triton())
    results += _tensorrt_llm()
    return results


def _triton() -> Result:
    try:
        with tempfile.TemporaryDirectory() as folder:
            install = find_triton(Path(folder))
    except ServeError as error:
        return Result("Triton", "fail", str(error))
    except OSError as error:
        return Result(
            "Triton", "fail", f"its Python backend could not be laid out ({error})",
            "set TMPDIR to a folder where this user can write, with 16 MiB of free space",
        )  # fmt: skip
    if install.embedded:
        return Result("Triton", "ok", f"the server of the pytriton wheel, {install.binary}")
    found = stated_version(install.binary)
    which = f"the server of this system, {found or 'its version unknown'}, {install.binary}"
    if trouble := outdated(found):
        return Result("Triton", "warn", which, trouble)
    return Result("Triton", "ok", which, "" if found else "`gemma4 serve` asks it for its version")


def _tensorrt_llm() -> list[Result]:
    found, beside = _version("tensorrt-llm"), _version("transformers")
    if not found:
        return [
            Result(
                "TensorRT-LLM", "info", "not installed",
                "it comes in our image; the CPU runtime needs it not",
            )
        ]  # fmt: skip
    same = found == PINNED
    results = [
        Result(
            "TensorRT-LLM", "ok" if same else "warn", found,
            "" if same else f"this release was made for {PINNED}",
        )
    ]  # fmt: skip
    fits = bool(beside) and Version(beside) in SpecifierSet(TRANSFORMERS)
    results.append(
        Result(
            "transformers", "ok" if fits else "fail", beside or "not installed",
            "" if fits else f"TensorRT-LLM reads Gemma 4 with transformers {TRANSFORMERS}: "
            f"pip install 'transformers{TRANSFORMERS}'",
        )
    )  # fmt: skip
    return results


def check_ports(host: str, ports: Ports) -> list[Result]:
    """Check whether a server could listen."""
    try:
        claim_ports(host, ports)
    except ServeError as error:
        return [Result("ports", "warn", str(error))]
    return [Result("ports", "ok", f"{ports.http}, {ports.grpc}, {ports.metrics} are free")]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
