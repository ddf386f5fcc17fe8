"""OpenAI's bodies and events."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from gemma4_load.errors import TargetError
from gemma4_load.targets.blocking import BlockingOpenAI
from gemma4_load.targets.openai_body import chat_body, failure, take_event
from gemma4_load.workloads.base import Ask, Reply


def test_body() -> None:
    ask = Ask("x", [{"role": "user", "content": "Hi"}],
              {"max_tokens": 3, "random_seed": 4, "stop_words": ["a"], "json_schema": {"type": "object"}},
              tools=[{"type": "function"}])  # fmt: skip
    body = chat_body(ask, "m")
    assert body["stream_options"] == {"include_usage": True}
    assert (body["seed"], body["stop"], body["max_tokens"]) == (4, ["a"], 3)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert body["tools"] == [{"type": "function"}]


def event(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "finish_reason": None}]}


def test_events() -> None:
    reply = Reply()
    assert not take_event(reply, event(role="assistant", content=""))
    assert take_event(reply, event(reasoning_content="hm"))
    assert take_event(reply, event(content="He"))
    assert take_event(reply, event(content="llo"))
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
    assert take_event(reply, event(tool_calls=[call]))
    assert take_event(reply, event(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]))
    assert not take_event(reply, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    assert not take_event(reply, {"choices": [], "usage": usage})
    assert (reply.text, reply.finish_reason) == ("Hello", "stop")
    assert (reply.prompt_tokens, reply.output_tokens) == (5, 7)
    function = {"name": "f", "arguments": "{}"}
    assert reply.tool_calls == [{"id": "c", "type": "function", "function": function}]


def test_errors() -> None:
    with pytest.raises(TargetError, match="lost") as found:
        take_event(Reply(), {"error": {"message": "lost", "code": 503}})
    assert found.value.status == "UNAVAILABLE"
    error = failure(429, '{"error": {"message": "slow down"}}')
    assert (error.status, str(error)) == ("UNAVAILABLE", "HTTP 429: slow down")
    assert str(failure(500, "")) == "HTTP 500: no message"
    assert failure(418, "tea").status == "INTERNAL"


class _Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        text = json.dumps(event(content="a\u2028b\x85c"), ensure_ascii=False)
        self.send_response(200)
        self.end_headers()
        for data in (f"data: {text}\n\n", 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', "data: [DONE]\n\n"):  # fmt: skip
            self.wfile.write(data.encode())

    def log_message(self, *_: str) -> None:
        pass


def test_a_line_separator_in_an_answer_ends_no_event() -> None:
    with HTTPServer(("127.0.0.1", 0), _Server) as server:
        Thread(target=server.handle_request, daemon=True).start()
        target = BlockingOpenAI(f"http://127.0.0.1:{server.server_port}/v1", timeout=20, model="m")
        reply = target.ask(Ask("x", [{"role": "user", "content": "Hi"}], {}), lambda _: True)
        target.close()
    assert reply.text == "a\u2028b\x85c"
