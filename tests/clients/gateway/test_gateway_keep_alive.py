"""Comments while a stream has nothing to say: they change no event and come in no event."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from gemma4_gateway.answers.sse import error_event
from gemma4_gateway.errors import ApiError
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.record import Record
from gemma4_gateway.reply import EngineReply, Out
from gemma4_testing.fakes.fake_backend import FakeBackend, fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before
from gemma4_testing.virtual_time.clock import run_in_virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

COMMENT = b": keep-alive\n\n"
PAUSES = st.sampled_from([0.0, 0.0, 0.001, 0.004])


class Connection:
    """Takes messages; each waits as long as ``pauses`` say, as for a client that reads slowly."""

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses
        self.messages: list[Any] = []

    async def send(self, message: Any) -> None:
        await asyncio.sleep(self._pauses.pop() if self._pauses else 0)
        assert not self.messages or self.messages[-1].get("more_body", True), "after the end"
        started = bool(self.messages)
        assert started == (message["type"] == "http.response.body"), message
        self.messages.append(message)

    async def receive(self) -> Any:
        await asyncio.Event().wait()

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]


def reply(
    connection: Connection, events: list[tuple[float, bytes]], *, error: ApiError | None = None
) -> None:
    async def write(out: Out) -> None:
        for pause, data in events:
            await asyncio.sleep(pause)
            await out.events(data)
        if error is not None:
            raise error
        await out.end(b"data: [DONE]\n\n")

    async def run() -> None:
        scope: Any = {"type": "http"}
        Record("id", "POST", "/v1/chat/completions").put_into(scope)
        await EngineReply(
            write,
            stop=lambda: None,
            lifecycle=Lifecycle(),
            error_event=error_event,
            keep_alive=0.002,
        )(scope, connection.receive, connection.send)

    run_in_virtual_time(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(PAUSES, max_size=6), st.lists(PAUSES, max_size=12), st.booleans())
def test_any_pace(pauses: list[float], sends: list[float], fails: bool) -> None:
    events = [(pause, b"data: %d\n\n" % i if i % 3 else b"") for i, pause in enumerate(pauses)]
    connection = Connection(sends)
    if fails and not any(data for _, data in events):
        events.append((0, b"data: 1\n\n"))
    reply(connection, events, error=ApiError(500, "broke") if fails else None)
    last = error_event(ApiError(500, "broke")) if fails else b"data: [DONE]\n\n"
    said = [body for body in connection.bodies if body != COMMENT]
    assert said == [*(data for _, data in events if data), last]
    assert connection.messages[-1].get("more_body", False) is False


def test_silence_has_comments_and_a_busy_stream_none() -> None:
    silent = Connection([])
    reply(silent, [(0.05, b"data: 1\n\n"), (0.05, b"data: 2\n\n")])
    at = silent.bodies.index(b"data: 1\n\n")
    assert at >= 3
    assert silent.bodies[at + 1 :].count(COMMENT) >= 3
    busy = Connection([])
    reply(busy, [(0, b"data: 1\n\n")] * 200)
    assert COMMENT not in busy.bodies


KEEP_ALIVE_S = 0.1


def answered(backend: FakeBackend, url: str, text: str = "hi") -> str:
    """A stream whose answer comes after three comments, or never."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
    found = ""
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as reply:
        assert reply.status_code == 200  # told before anybody knew
        for piece in reply.iter_text():
            if found.count(": keep-alive") < 3 <= (found + piece).count(": keep-alive"):
                backend.let()
            found += piece
    return found


def test_clients_skip_them_until_the_answer_comes() -> None:
    with (
        fake_backend("held") as backend,
        gateway_before(backend.address, health_interval=60, sse_keep_alive=KEEP_ALIVE_S) as gateway,
    ):
        text = answered(backend, gateway.url)
        assert text.startswith(": keep-alive\n\n" * 3)
        assert text.count("data: ") >= 2 and text.endswith("data: [DONE]\n\n")
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}

        def later() -> None:
            """Let the next answer come after some comments."""
            threading.Timer(5 * KEEP_ALIVE_S, backend.let).start()

        later()
        assert ": keep-alive" not in gateway.chat("hi").text
        later()
        with OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            chunks = list(client.chat.completions.create(**asked))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "hello"

        async def many() -> list[str]:
            async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x") as client:
                stream = await client.chat.completions.create(**asked)
                return [c.choices[0].delta.content or "" async for c in stream if c.choices]

        later()
        assert "".join(asyncio.run(many())) == "hello"
        late = answered(backend, gateway.url, "refused")
        assert '"code":"unavailable"' in late.replace(" ", "")
        assert "[DONE]" not in late


@pytest.mark.parametrize("interval", [0.0, 60.0])
def test_an_answer_that_comes_before_them_has_none(interval: float) -> None:
    with (
        fake_backend("held") as backend,
        gateway_before(backend.address, health_interval=60, sse_keep_alive=interval) as gateway,
    ):
        backend.let(2)
        assert ": keep-alive" not in gateway.chat("hi", stream=True).text
        assert gateway.chat("refused", stream=True).status_code == 503
