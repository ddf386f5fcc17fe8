"""Compare an object of a custom resource with the published fields of its kind.

``crd_fields.json`` has for each kind the fields of ``spec`` with their types, read off the
CustomResourceDefinition that ``source`` names (repository, commit, file). ``!`` marks what is
required; ``a|b`` is an enumeration; ``object`` is not looked into; ``pod`` and ``pod-template`` are
checked by Kubernetes' own schemas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["FIELDS", "faults", "kind_of"]

FIELDS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("crd_fields.json").read_text(encoding="utf-8")
)
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "int-or-string": (int, str),
    "object": (dict, list, str, int),
    "pod": (dict, list),
    "pod-template": (dict,),
}


def kind_of(item: dict[str, Any]) -> str:
    return f"{item['apiVersion']} {item['kind']}"


def faults(item: dict[str, Any]) -> list[str]:
    """What is wrong, each with its path."""
    return list(_faults(item["spec"], FIELDS[kind_of(item)]["spec"], "spec"))


def _faults(value: Any, shape: Any, path: str) -> list[str]:
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{path}: must be a list"]
        return [f for i, one in enumerate(value) for f in _faults(one, shape[0], f"{path}[{i}]")]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{path}: must be an object"]
        known = {name.rstrip("!"): part for name, part in shape.items()}
        missing = [n for n in shape if n.endswith("!") and n.rstrip("!") not in value]
        found = [f"{path}: lacks {name.rstrip('!')}" for name in missing]
        for name, part in value.items():
            if name not in known:
                found.append(f"{path}: has no field {name}")
            else:
                found += _faults(part, known[name], f"{path}.{name}")
        return found
    if shape not in TYPES:
        return [] if value in shape.split("|") else [f"{path}: {value!r} is none of {shape}"]
    wrong = isinstance(value, bool) and shape in ("integer", "number", "int-or-string")
    return (
        [f"{path}: {value!r} is no {shape}"] if wrong or not isinstance(value, TYPES[shape]) else []
    )
