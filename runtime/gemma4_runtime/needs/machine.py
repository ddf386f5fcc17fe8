"""Facts about this machine that decide whether the server can run here."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

__all__ = ["Machine", "distribution", "look", "python_library"]

LIBRARIES = ("libgomp.so.1", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1")
"""What llama.cpp and Triton load from the system beside glibc."""

_LOAD = """
import ctypes, sys
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
    except OSError:
        print(name)
"""


class Machine(NamedTuple):
    """``python`` and ``default_python``, the distribution's own, are such as (3, 11); ``glibc`` and
    ``default_python`` are None where there is none. ``distribution`` is the release's code name, or
    its id where it has no code name. ``installer`` is "apt", "dnf" or "". ``missing`` names shared
    libraries that do not load."""

    python: "tuple[int, int]"
    system: str = "Linux"
    architecture: str = "x86_64"
    glibc: "tuple[int, int] | None" = (2, 36)
    default_python: "tuple[int, int] | None" = None
    can_make_venv: bool = True
    bash: bool = True
    missing: "tuple[str, ...]" = ()
    distribution: str = ""
    installer: str = ""
    root: bool = False


def look() -> Machine:
    """Look at this machine and of the Python that runs this."""
    python = sys.version_info[:2]
    return Machine(
        python=python,
        system=platform.system(),
        architecture=platform.machine(),
        glibc=_glibc(),
        default_python=_default_python(),
        can_make_venv=bool(find_spec("ensurepip") or shutil.which("virtualenv")),
        bash=shutil.which("bash") is not None,
        missing=_missing((*LIBRARIES, python_library(python))),
        distribution=distribution("/etc/os-release"),
        installer="apt" if shutil.which("apt-get") else "dnf" if shutil.which("dnf") else "",
        root=os.geteuid() == 0,
    )


def python_library(python: "tuple[int, int]") -> str:
    """Return the shared library of a Python version, which Triton's Python backend loads."""
    return f"libpython{python[0]}.{python[1]}.so.1.0"


def _missing(names: "tuple[str, ...]") -> "tuple[str, ...]":
    """Return the libraries that the dynamic loader does not find, in a process of its own with the
    library folder of this Python in the path, as Triton gets it."""
    path = [sysconfig.get_config_var("LIBDIR") or "", os.environ.get("LD_LIBRARY_PATH", "")]
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, path))}
    output = subprocess.check_output([sys.executable, "-I", "-c", _LOAD, *names], env=env)
    return tuple(output.decode().split())


def _glibc() -> "tuple[int, int] | None":
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, OSError, ValueError):
        return None  # another C library
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) if name == "glibc" else None


def _default_python() -> "tuple[int, int] | None":
    name = Path("/usr/bin/python3").resolve().name
    version = name[len("python") :].split(".")
    return (int(version[0]), int(version[1])) if len(version) == 2 else None


def distribution(file: str) -> str:
    """Return the code name in an os-release file, or the id where it has none, or ""."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    fields = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    # The first is the name of the Ubuntu that a derived distribution takes its archive from.
    names = ("UBUNTU_CODENAME", "VERSION_CODENAME", "ID")
    return next(filter(None, (fields.get(name, "").strip("\"'") for name in names)), "")
