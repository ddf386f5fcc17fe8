"""Which back ends may get a request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.router import Router
from gemma4_gateway.errors import ApiError
from gemma4_gateway.metrics import Metrics


def made(names: list[str], aliases: frozenset[str] = frozenset()) -> Router:
    """A router over back ends whose engines have these names; "" for one that is not ready."""
    backends = []
    for i, name in enumerate(names):
        backend = Backend(f"127.0.0.1:{i + 1}", now=lambda: 0.0)
        if name:
            backend.info = SimpleNamespace(model=name)
            backend.mark(ready=True)
        backends.append(backend)
    return Router(backends, None, Metrics(), imbalance=8, aliases=aliases)


async def addresses(router: Router, model: str) -> list[str]:
    tried = frozenset()
    found = []
    while (backend := router.pick(b"12345678", model=model, tried=tried)) is not None:
        found.append(backend.address[-1])
        tried |= {backend.address}
    return sorted(found)


def test_a_model_is_served_by_the_engines_that_have_it() -> None:
    assert asyncio.run(addresses(made(["a", "b", "", "a"]), "a")) == ["1", "4"]
    assert asyncio.run(addresses(made(["a", "b", ""], frozenset({"x"})), "x")) == ["1", "2"]


def test_a_back_end_that_refused_is_the_last_choice() -> None:
    async def run() -> Any:
        router = made(["a", "a"])
        first = router.pick(b"12345678", model="a")
        first.failed("full", pause=1.0)
        return first, router.pick(b"12345678", model="a"), await addresses(router, "a")

    first, other, all_of_them = asyncio.run(run())
    assert other is not first
    assert all_of_them == ["1", "2"]


def test_none_is_503_that_says_why_of_each() -> None:
    with pytest.raises(ApiError, match=r"127\.0\.0\.1:1: not checked yet") as caught:
        made([""]).any_ready("a")
    assert caught.value.status == 503
