"""Server-sent events in each form that a server may write: both OpenAI targets read them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from gemma4_load.drive.level import Level
from gemma4_load.drive.run import LevelRun
from gemma4_load.errors import TargetError
from gemma4_load.targets.base import Seen
from gemma4_load.targets.blocking import BlockingOpenAI
from gemma4_load.targets.openai import OpenAITarget
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.spec import WorkloadSpec
from gemma4_load.workloads.words import Words

TEXT = "a\u2028b\x85c"
CHUNKS = (
    {"choices": [{"delta": {"content": TEXT}, "finish_reason": None}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
)
DATA = [*(json.dumps(chunk, ensure_ascii=False) for chunk in CHUNKS), "[DONE]"]
FORMS = {
    "plain": "data: {}\n\n",
    "no space": "data:{}\n\n",
    "carriage returns": "data: {}\r\n\r\n",
    "named": "event: chunk\ndata: {}\n\n",
    "numbered": "id: 7\ndata: {}\nretry: 5\n\n",
    "comments": ": ping\n\n: ping\ndata: {}\n\n",
}


def ask_async(url: str) -> Reply:
    async def run() -> Reply:
        target = OpenAITarget(url, timeout=20, model="m")
        try:
            return await target.ask(
                Ask("x", [{"role": "user", "content": "Hi"}], {}), lambda _: True
            )
        finally:
            await target.close()

    return asyncio.run(run())


def ask_blocking(url: str) -> Reply:
    target = BlockingOpenAI(url, timeout=20, model="m")
    try:
        return target.ask(Ask("x", [{"role": "user", "content": "Hi"}], {}), lambda _: True)
    finally:
        target.close()


@contextmanager
def serving(body: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"


@pytest.mark.parametrize("ask", [ask_async, ask_blocking])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(ask: Callable[[str], Reply], form: str) -> None:
    with serving("".join(FORMS[form].replace("{}", data) for data in DATA)) as url:
        reply = ask(url)
    assert (reply.text, reply.finish_reason) == (TEXT, "stop")


class Odd:
    """A target whose server answers what nobody can read."""

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        raise KeyError("choices")


def test_an_answer_that_cannot_be_read_is_a_counted_failure() -> None:
    workload = WorkloadSpec().make(Words())
    level = Level(concurrency=1, requests=1, warmup=0.0)
    run = LevelRun(Odd(), workload, level, lambda record: None)  # type: ignore[arg-type]
    result = asyncio.run(run.run())
    (record,) = result.records
    assert (record.status, record.error) == ("INTERNAL", "unexpected KeyError: 'choices'")
    assert run.failed == 1


def test_requests_of_users_are_not_logged() -> None:
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("ask", [ask_async, ask_blocking])
def test_a_stream_without_its_last_event_is_an_error(ask: Callable[[str], Reply]) -> None:
    with (
        serving("".join(f"data: {data}\n\n" for data in DATA[:-1])) as url,
        pytest.raises(TargetError, match=r"without \[DONE\]"),
    ):
        ask(url)
