"""The packages that an extra brings, by what those that are installed here say of themselves."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["ROOT_PACKAGE", "Found", "closure"]

ROOT_PACKAGE = "gemma4-triton"


@dataclass(frozen=True, slots=True)
class Found:
    """A package. ``expression`` is its SPDX expression, where its metadata has one; ``field`` what
    the older field License says, ``classifiers`` the ends of those that start with License."""

    name: str
    version: str
    expression: str
    field: str
    classifiers: tuple[str, ...]


def closure(extras: Iterable[str], *, root: str = ROOT_PACKAGE) -> dict[str, Found]:
    """Return what ``root`` with ``extras`` needs on this Python, without ``root``, by name. Raises
    :class:`LookupError` for a package that is not installed."""
    seen: dict[str, frozenset[str]] = {}
    todo = [(root, frozenset(extras))]
    while todo:
        name, wanted = todo.pop()
        name = canonicalize_name(name)
        if name in seen and wanted <= seen[name]:
            continue
        seen[name] = wanted = seen.get(name, frozenset()) | wanted
        for line in _distribution(name).requires or ():
            need = Requirement(line)
            if _applies(need, wanted):
                todo.append((need.name, frozenset(need.extras)))
    return {name: _found(name) for name in sorted(seen) if name != canonicalize_name(root)}


def _applies(need: Requirement, extras: frozenset[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras | {""})


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise LookupError(f"{name} is not installed; install the extras first") from None


def _found(name: str) -> Found:
    data = _distribution(name).metadata
    classifiers = (c for c in data.get_all("Classifier") or () if c.startswith("License ::"))
    return Found(
        name,
        data["Version"],
        _first(data.get_all("License-Expression")),
        _first(data.get_all("License")),
        tuple(c.rpartition("::")[2].strip() for c in classifiers),
    )


def _first(values: list[str] | None) -> str:
    return (values or [""])[0].strip()
