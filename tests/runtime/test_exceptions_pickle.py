"""Every exception of every package goes through a process pool: pickled and back, with all that it
says."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest
from gemma4_client import Answer
from gemma4_runtime.errors import Code
from gemma4_testing.repository import ROOT

VALUES: dict[str, Any] = {
    "code": Code.OUT_OF_RANGE, "status": 404, "field": "f", "answer": Answer(text="x"), "step": "s",
    "details": {"most": 1}, "headers": {"retry-after": "1"}, "refused": True, "process": "engine",
}  # fmt: skip


def defining() -> Iterator[str]:
    """Names of the modules that define an exception."""
    for folder in ("runtime", "clients", "build", "serve", "cli", "load_tests"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            kinds = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
            if any(
                re.search(r"(Error|Exception)\b", ast.unparse(b)) for k in kinds for b in k.bases
            ):
                yield ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)


def exceptions() -> list[type[BaseException]]:
    found = {
        thing
        for name in defining()
        for thing in vars(importlib.import_module(name)).values()
        if inspect.isclass(thing) and issubclass(thing, BaseException) and thing.__module__ == name
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def made(kind: type[BaseException]) -> BaseException:
    """One with a value for each argument of its constructor."""
    if kind.__init__ in (Exception.__init__, BaseException.__init__, ValueError.__init__):
        return kind("what went wrong", 7)
    positional, named = [], {}
    for name, parameter in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        value = VALUES.get(name, f"the {name}")
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[name] = value
        elif parameter.kind is not parameter.VAR_KEYWORD:
            positional.append(value)
    return kind(*positional, **named)


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__qualname__)
def test_it_pickles(kind: type[BaseException]) -> None:
    error = made(kind)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (str(back), back.args) == (str(error), error.args)
    assert repr(vars(back)) == repr(vars(error))


def test_all_are_found() -> None:
    assert len(exceptions()) >= 50
