"""Names of packages, and the one line that installs them."""

from gemma4_runtime.needs.machine import Machine, python_library

__all__ = ["NEWEST", "OLDEST", "install_line", "suited", "unknown_libraries", "wanted_python"]

OLDEST = (3, 11)
NEWEST = (3, 12)
"""Python 3.13 has no wheel of numpy 1, and with numpy 2 the Python backend of Triton 2.51 reads the
size of an element from the wrong place, so that it takes every byte of an input for the first."""

ARCHIVES = {"bookworm": (3, 11), "trixie": (3, 11), "jammy": (3, 11), "noble": (3, 12)}
"""The Python that a distribution's archive brings and that suits. Debian 13 has none: Debian 12's
installs beside its own."""

_OLDER_ARCHIVE = (
    '{sudo}apt-get update && echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
    "$(apt-get indextargets --format '$(REPO_URI)' 'Codename: trixie' | head -n 1) bookworm main\" "
    "| {sudo}tee /etc/apt/sources.list.d/bookworm.list && "
)
_APT = {
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
}
_DNF = {
    "libgomp.so.1": "libgomp",
    "libstdc++.so.6": "libstdc++",
    "libgcc_s.so.1": "libgcc",
    "libz.so.1": "zlib",
}


def suited(python: "tuple[int, int]") -> bool:
    """Return True for a Python that the server runs on."""
    return OLDEST <= python <= NEWEST


def wanted_python(machine: Machine) -> "tuple[int, int] | None":
    """Return the Python to use: this one where it suits and can have its shared library, else that
    of the archive; None when no archive is known to have one."""
    archive = ARCHIVES.get(machine.distribution)
    complete = python_library(machine.python) not in machine.missing
    if suited(machine.python) and (complete or machine.python in (machine.default_python, archive)):
        return machine.python
    if machine.installer == "dnf":
        return NEWEST
    return archive


def install_line(machine: Machine, installer: str) -> str:
    """Return the command for apt or dnf that installs what ``machine`` lacks; "" when a package
    manager has nothing for it."""
    python = wanted_python(machine)
    if python is None:
        return ""
    sudo = "" if machine.root else "sudo "
    find = _dnf_names if installer == "dnf" else _apt_names
    names = " ".join(find(machine, python))
    if not names:
        return ""
    if installer == "dnf":
        return f"{sudo}dnf install -y {names}"
    start = _OLDER_ARCHIVE.format(sudo=sudo) if _needs_older_archive(machine, python) else ""
    return f"{start}{sudo}apt-get update && {sudo}apt-get install -y {names}"


def unknown_libraries(machine: Machine) -> "list[str]":
    """Return the missing libraries of which no package is known here."""
    return [x for x in machine.missing if x not in _APT and not x.startswith("libpython")]


def _needs_older_archive(machine: Machine, python: "tuple[int, int]") -> bool:
    lacks_python = python != machine.python or python_library(python) in machine.missing
    return machine.distribution == "trixie" and lacks_python


def _apt_names(machine: Machine, python: "tuple[int, int]") -> "list[str]":
    version = f"{python[0]}.{python[1]}"
    # Debian 13 cannot install Debian 12's venv package: its python3 is newer.
    venv = "virtualenv" if machine.distribution == "trixie" else f"python{version}-venv"
    names = []
    if python != machine.python:
        names += [f"python{version}", venv, f"libpython{version}"]
    else:
        names += [] if machine.can_make_venv else [venv]
        names += [f"libpython{version}"] if python_library(python) in machine.missing else []
    return names + _others(machine, _APT)


def _dnf_names(machine: Machine, python: "tuple[int, int]") -> "list[str]":
    version = f"{python[0]}.{python[1]}"
    start = "python3" if python == machine.default_python else f"python{version}"
    names = []
    if python != machine.python:
        names.append(start)
    else:
        names += [] if machine.can_make_venv else [f"{start}-pip"]
        names += [f"{start}-libs"] if python_library(python) in machine.missing else []
    return names + _others(machine, _DNF)


def _others(machine: Machine, table: "dict[str, str]") -> "list[str]":
    names = [table[library] for library in machine.missing if library in table]
    return names if machine.bash else [*names, "bash"]
