"""The targets for threads and greenlets: what locust's users ask."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
from gemma4_client import Client, Delta
from gemma4_client.address import is_loopback
from gemma4_client.assembly import Assembly
from gemma4_client.errors import from_http
from gemma4_client.request import chat_request
from gemma4_client.transport.http_wire import EventReader, error_text, generate_body, read_json
from httpx_sse import EventSource

from gemma4_load.errors import TargetError
from gemma4_load.targets.base import Intake, Seen, sdk_errors
from gemma4_load.targets.openai_body import chat_body, failure, take_event
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words

__all__ = ["BlockingGrpc", "BlockingHttp", "BlockingOpenAI", "BlockingTarget", "measure_words"]


logging.getLogger("httpx").setLevel(logging.WARNING)
"""httpx logs a line for each request, which locust would print."""


def _client(url: str, timeout: float, **options: Any) -> httpx.Client:
    """``url`` on this machine is not asked by a proxy of the environment."""
    direct = {"http://": None, "https://": None} if is_loopback(httpx.URL(url).host) else None
    return httpx.Client(base_url=url, timeout=timeout, mounts=direct, **options)


class BlockingTarget(Protocol):
    def ask(self, ask: Ask, seen: Seen) -> Reply:
        """As :meth:`gemma4_load.targets.Target.ask`."""

    def close(self) -> None: ...


def measure_words(target: BlockingTarget) -> Words:
    """By two requests of one token each. Raises :class:`TargetError`."""
    asks = [Ask("probe", [message], {"max_tokens": 1}) for message in Words.probes()]
    return Words.measured([target.ask(ask, lambda _: True).prompt_tokens for ask in asks])


@contextmanager
def httpx_errors() -> Iterator[None]:
    """Use httpx's errors as :class:`TargetError`."""
    try:
        yield
    except httpx.TimeoutException:
        raise TargetError("DEADLINE_EXCEEDED", "no answer in time") from None
    except httpx.HTTPError as error:
        raise TargetError("UNAVAILABLE", f"{type(error).__name__}: {error}") from None


class BlockingGrpc:
    """Triton's gRPC, through the SDK."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._client = Client(url, retry=None, breaker=None)
        self._timeout = timeout

    def ask(self, ask: Ask, seen: Seen) -> Reply:
        intake = Intake(seen)
        with sdk_errors():
            stream = self._client.chat(
                ask.messages, tools=ask.tools, timeout=self._timeout, **ask.options
            )
            for delta in stream:
                if not intake.add(delta):
                    stream.cancel()
                    break
        return intake.reply

    def close(self) -> None:
        self._client.close()


class BlockingHttp:
    """Triton's ``generate_stream``, with the SDK's reader of chunks and its checks of order and
    completeness; its transport has an event loop in a thread, which greenlets would block."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._http = _client(url, timeout)
        self._timeout = timeout

    def ask(self, ask: Ask, seen: Seen) -> Reply:
        intake, chunks = Intake(seen), Assembly()
        with sdk_errors(), httpx_errors():
            for delta in self._deltas(ask):
                if not intake.add(chunks.add(delta)):
                    return intake.reply
            chunks.close()
        return intake.reply

    def _deltas(self, ask: Ask) -> Iterator[Delta]:
        request = chat_request(ask.messages, ask.options, tools=ask.tools)
        body, events = generate_body(request, self._timeout), EventReader()
        path = "/v2/models/gemma4/generate_stream"
        with self._http.stream("POST", path, content=body) as response:
            if response.status_code != 200:
                raise from_http(response.status_code, error_text(response.read()))
            for data in response.iter_raw():
                for event in events.feed(data):
                    yield read_json(event)
        if events.rest:
            yield read_json(events.rest.removeprefix(b"data:"))

    def close(self) -> None:
        self._http.close()


class BlockingOpenAI:
    """An OpenAI server; ``url`` ends in /v1. ``context``: as :class:`OpenAITarget`."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        model: str = "",
        api_key: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = _client(url, timeout, headers=headers, verify=context or True)
        self._model = model

    def ask(self, ask: Ask, seen: Seen) -> Reply:
        reply = Reply()
        with httpx_errors():
            body = chat_body(ask, self._named())
            with self._http.stream("POST", "chat/completions", json=body) as response:
                if response.status_code != 200:
                    response.read()
                    raise failure(response.status_code, response.text)
                done = False
                for event in EventSource(response).iter_sse():
                    if event.data == "[DONE]":
                        done = True
                    elif take_event(reply, json.loads(event.data)) and not seen(0):
                        return reply
                if not done:
                    raise TargetError("DATA_LOSS", "the stream ended without [DONE]")
        return reply

    def _named(self) -> str:
        if not self._model:
            response = self._http.get("models")
            if response.status_code != 200:
                raise failure(response.status_code, response.text)
            self._model = str(response.json()["data"][0]["id"])
        return self._model

    def close(self) -> None:
        self._http.close()
