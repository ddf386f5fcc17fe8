"""Where max_tokens is more than there is room for, a plan may have all of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_client.errors import Code
from gemma4_gateway.answers.work import Work
from gemma4_gateway.errors import ApiError
from gemma4_gateway.record import Record
from gemma4_gateway.translate.request_plan import EngineCall, Plan

ROOM = 100


class Router:
    """Refuses as the engine does; notes the options of each call."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.asked: list[dict[str, Any]] = []

    async def begin(self, call: EngineCall, **_: Any) -> Any:
        self.asked.append(call.options)
        if call.options.get("max_tokens", 0) > ROOM:
            raise ApiError(400, "too many", cause=self.code)
        return SimpleNamespace(backend=SimpleNamespace(address="a"), waited=0.0)


def begun(router: Any, max_tokens: int, *, whole_room: bool) -> None:
    call = EngineCall([], None, None, {"max_tokens": max_tokens, "top_k": 1})
    plan = Plan("m", [call], False, b"", whole_room=whole_room)
    work = Work(plan, router, Record("r", "POST", "/"), timeout=1, prefix="msg")
    (begin,) = work.begins()

    async def once() -> None:
        await begin()

    asyncio.run(once())


def test_it_is_asked_again_without_a_limit() -> None:
    router = Router(Code.TOO_MANY_TOKENS)
    begun(router, ROOM + 1, whole_room=True)
    assert router.asked == [{"max_tokens": ROOM + 1, "top_k": 1}, {"top_k": 1}]


def test_a_limit_that_fits_is_kept() -> None:
    router = Router(Code.TOO_MANY_TOKENS)
    begun(router, ROOM, whole_room=True)
    assert router.asked == [{"max_tokens": ROOM, "top_k": 1}]


@pytest.mark.parametrize(
    ("code", "whole_room"), [(Code.TOO_MANY_TOKENS, False), (Code.PROMPT_TOO_LONG, True)]
)
def test_other_refusals_stand(code: str, whole_room: bool) -> None:
    router = Router(code)
    with pytest.raises(ApiError):
        begun(router, ROOM + 1, whole_room=whole_room)
    assert len(router.asked) == 1
