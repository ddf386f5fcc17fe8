"""Sampling options for every request of a workload."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from gemma4_runtime.contract.inputs import SAMPLING

from gemma4_load.errors import OptionError
from gemma4_load.workloads.base import Ask, Reply, Workload

__all__ = ["Sampled", "parse_sampling"]

_WHOLE = tuple(option.name for option in SAMPLING if option.whole)
_KNOWN = tuple(option.name for option in SAMPLING)


class Sampled(Workload):
    """Another workload's requests with ``options`` added. Their ranges the server checks."""

    name: ClassVar[str] = "sampled"

    def __init__(self, inner: Workload, options: Mapping[str, float]) -> None:
        self._inner = inner
        self._options = options

    def first(self, rng: np.random.Generator) -> Ask:
        return self._with(self._inner.first(rng))

    def follow(self, ask: Ask, reply: Reply, rng: np.random.Generator) -> Ask | None:
        found = self._inner.follow(ask, reply, rng)
        return None if found is None else self._with(found)

    def _with(self, ask: Ask) -> Ask:
        return replace(ask, options={**ask.options, **self._options})


def parse_sampling(texts: Sequence[str]) -> dict[str, float]:
    """Parse ``NAME=VALUE`` each, the names of :class:`gemma4_client.Options`. Raises
    :class:`OptionError`."""
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in _KNOWN or not equals:
            raise OptionError(f"--sampling {text}: use NAME=VALUE; names are {', '.join(_KNOWN)}")
        if name in found:
            raise OptionError(f"--sampling {text}: {name} is given twice")
        try:
            found[name] = int(value) if name in _WHOLE else float(value)
        except ValueError:
            kind = "whole number" if name in _WHOLE else "number"
            raise OptionError(f"--sampling {text}: {value!r} is no {kind}") from None
        if not math.isfinite(found[name]):
            raise OptionError(f"--sampling {text}: must be finite")
    return found
