"""Print what TensorRT-LLM requires of other packages, as constraints for pip: what our environment
brings of its own must suit it too. Run by the Python that has tensorrt_llm.

usage: constraints.py [PACKAGE ...]       packages that are replaced on purpose, left out
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable

__all__ = ["constraints"]


def constraints(requirements: Iterable[str], replaced: Iterable[str]) -> list[str]:
    """Return ``requirements`` without extras, markers of extras, and packages of ``replaced``."""
    left_out = {_normal(name) for name in replaced}
    found = []
    for line in requirements:
        requirement, _, marker = line.partition(";")
        match = re.fullmatch(
            r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^()]*)\)?", requirement.strip()
        )
        if match is None:
            raise SystemExit(f"tensorrt_llm requires {line!r}: not understood")
        name, versions = match.groups()
        if versions and "extra" not in marker and _normal(name) not in left_out:
            found.append(f"{name}{versions.strip()}" + (f" ;{marker}" if marker else ""))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    required = importlib.metadata.requires("tensorrt_llm")
    if not required:
        raise SystemExit("tensorrt_llm is not installed here, or does not say what it requires")
    print("\n".join(constraints(required, sys.argv[1:])))
