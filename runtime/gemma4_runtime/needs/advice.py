"""What lacks, in words, with the way out."""

from gemma4_runtime.needs.machine import Machine, look, python_library
from gemma4_runtime.needs.packages import (
    NEWEST,
    OLDEST,
    install_line,
    suited,
    unknown_libraries,
    wanted_python,
)

__all__ = ["explain_import", "explain_library", "report"]

GLIBC = (2, 35)
"""Of the nvidia-pytriton wheels, whose tags are manylinux_2_35_x86_64 and _aarch64."""
_ARCHITECTURES = ("x86_64", "AMD64", "aarch64", "arm64")

_USERS = {
    "libgomp.so.1": "llama.cpp needs it",
    "libstdc++.so.6": "Triton and llama.cpp need it",
    "libgcc_s.so.1": "Triton and llama.cpp need it",
    "libz.so.1": "Triton needs it",
}
_ANY_PYTHON = (
    "Install Python 3.11 or 3.12 with its shared library beside it; `uv python install 3.12` "
    'does without root, then: make PYTHON="$(uv python find 3.12)"'
)


def report(machine: Machine) -> str:
    """Return what ``machine`` lacks and the line that installs it, for a terminal; "" when it lacks
    nothing. Other systems than Linux are not looked at: they have no server, but a client."""
    if machine.system != "Linux":
        return ""
    wrong = _wrong_platform(machine)
    if wrong:
        return (
            f"gemma4 cannot be served here: {wrong}. The embedded Triton needs Linux on x86-64 "
            "or arm64 with glibc 2.35 or newer, such as Debian 12, Ubuntu 22.04 or Fedora 37."
        )
    lacks = _lacks(machine)
    if not lacks:
        return ""
    lines = ["This machine lacks what the server needs:", *lacks]
    for name in unknown_libraries(machine):
        lines.append(f"`apt-file search {name}` or `dnf provides '*/{name}'` finds its package.")
    return "\n".join(lines + _way_out(machine))


def explain_library(library: str) -> str:
    """Return the way out when the dynamic loader did not find ``library``, for an error message."""
    machine = look()._replace(can_make_venv=True)
    if library not in machine.missing:
        machine = machine._replace(missing=(*machine.missing, library))
    again = wanted_python(machine) not in (None, machine.python)
    rest = "\nIts virtual environment has to be made again, with that Python." if again else ""
    return (report(machine) or f"{library} is not on this machine") + rest


def explain_import(error: ImportError) -> "str | None":
    """Return the way out when ``error`` says that a shared library was not found, else None."""
    library, colon, rest = str(error).partition(": ")
    if not colon or not rest.startswith("cannot open shared object file"):
        return None
    return f"{error}. {explain_library(library)}"


def _wrong_platform(machine: Machine) -> str:
    if machine.architecture not in _ARCHITECTURES:
        return f"the processor is {machine.architecture}"
    if machine.glibc is None:
        return "the C library is not glibc"
    if machine.glibc < GLIBC:
        return f"glibc is {machine.glibc[0]}.{machine.glibc[1]}"
    return ""


def _lacks(machine: Machine) -> "list[str]":
    lines = []
    library = python_library(machine.python)
    if not suited(machine.python):
        version = f"{machine.python[0]}.{machine.python[1]}"
        known = f"{OLDEST[0]}.{OLDEST[1]} and {NEWEST[0]}.{NEWEST[1]}"
        lines.append(f"  a suitable Python: this is {version}, the server runs on {known}")
    else:
        if library in machine.missing:
            lines.append(f"  {library}: Triton's Python models need it")
        if not machine.can_make_venv:
            lines.append("  ensurepip, with which Python makes a virtual environment")
    for name in machine.missing:
        if not name.startswith("libpython"):
            lines.append(f"  {name}: {_USERS.get(name, 'the server needs it')}")
    if not machine.bash:
        lines.append("  bash: Triton starts its Python models with it")
    return lines


def _way_out(machine: Machine) -> "list[str]":
    if wanted_python(machine) is None:
        rest = machine._replace(python=OLDEST, default_python=OLDEST, missing=tuple(
            name for name in machine.missing if not name.startswith("libpython")))  # fmt: skip
        others = install_line(rest, machine.installer) if rest.missing and machine.installer else ""
        return [_ANY_PYTHON, *([f"  {others}"] if others else [])]
    line = install_line(machine, machine.installer)
    if not line:
        return []
    if machine.installer:
        return ["Install it with this line, then run the same command again:", f"  {line}"]
    lines = [f"  {install_line(machine, name)}" for name in ("apt", "dnf")]
    return ["Install it, then run the same command again. With apt or dnf it would be:", *lines]
