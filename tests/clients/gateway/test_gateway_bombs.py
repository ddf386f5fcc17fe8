"""One client's body is not everybody's wait."""

from __future__ import annotations

import http.client
import json
import re
import typing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import UnionType
from typing import Any

import pytest
from gemma4_gateway.body.bounds import MOST_DEPTH, MOST_NODES, check_bounds, has_lone_surrogate
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessagesRequest
from gemma4_gateway.schemas.anthropic_blocks import BLOCKS
from gemma4_gateway.schemas.base import ApiModel
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.schemas.tokenize import DetokenizeRequest, TokenizeRequest
from gemma4_testing.cases.error_forms import error_of
from gemma4_testing.cases.gateway_bombs import BOMBS, PATHS
from gemma4_testing.fakes.canary import Canary
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.servers.running_gateway import RunningGateway
from hypothesis import given
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

SMALL, LARGE = 40_000, 3_600_000
CANARY_P99_S = 1.0
"""On two cores that run everything else too. Before there were bounds, one body took 16.7 s."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with fake_backend("good") as backend:
        running = RunningGateway(backend.port, args=("--served-model-name", "m"))
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.text, running.text[-3000:]
        assert '"event":"fault"' not in running.text


def post(port: int, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"} | headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def check(path: str, name: str, status: int, reply: dict[str, Any]) -> None:
    """Answered, or refused with one short error."""
    if status == 200:
        return
    assert 400 <= status < 500, (name, status, reply)
    error = error_of(path, reply)
    assert 0 < len(error["message"]) < 2500, name
    assert len(error.get("param") or "") <= 256, name


@pytest.mark.parametrize("path", PATHS)
def test_every_kind_of_bomb(gateway: RunningGateway, path: str) -> None:
    mine = [bomb for bomb in BOMBS if bomb.path == path]
    with Canary(gateway.port) as canary, ThreadPoolExecutor(4) as pool:
        replies = pool.map(lambda b: (b.name, *post(gateway.port, path, b.make(SMALL))), mine)
        for name, status, reply in replies:
            check(path, name, status, reply)
    assert not canary.wrong
    assert canary.quantile(0.99) < CANARY_P99_S, sorted(canary.seconds)[-5:]


LARGEST = [
    bomb
    for bomb in BOMBS
    if bomb.name.split(" = ")[0] in ("tools", "stop", "input", "prompt", "tokens", "body")
    and bomb.name.split(" = ")[1] in ("[{}, ...]", '["a", ...]', "deep lists", "quotes in text")
]


def test_the_largest_bombs(gateway: RunningGateway) -> None:
    """All at once, four under way."""
    bodies = [(bomb, bomb.make(LARGE)) for bomb in LARGEST]
    assert len(bodies) > 30
    with Canary(gateway.port) as canary, ThreadPoolExecutor(4) as pool:
        replies = pool.map(lambda b: (b[0], *post(gateway.port, b[0].path, b[1])), bodies)
        for bomb, status, reply in replies:
            check(bomb.path, bomb.name, status, reply)
            assert status == 400, bomb.name
    assert not canary.wrong
    assert canary.quantile(0.99) < CANARY_P99_S, sorted(canary.seconds)[-5:]


def test_what_the_bombs_say(gateway: RunningGateway) -> None:
    found = {}
    for bomb in BOMBS:
        if bomb.path == "/v1/chat/completions" and bomb.name in (
            "tools = [{}, ...]", "tools = deep lists", 'stop = ["a", ...]', "metadata = {many names}",
            "tools = long numbers", "unknown = many 1e400", "body = {many names}",
        ):  # fmt: skip
            found[bomb.name] = post(gateway.port, bomb.path, bomb.make(SMALL))[1]["error"]
    assert found["tools = [{}, ...]"]["message"] == "tools: 13333 items; at most 128"
    assert found['stop = ["a", ...]']["message"] == "stop: 10000 items; at most 16"
    assert found["metadata = {many names}"]["param"] == "metadata"
    assert found["tools = deep lists"]["code"] == "body_too_deep"
    assert "4000 digits" in found["tools = long numbers"]["message"]
    assert "1e400 is too large" in found["unknown = many 1e400"]["message"]
    assert "fields; at most" in found["body = {many names}"]["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model":"m","model":"m"}', "'model' is there twice"),
        (b'{"temperature":NaN}', "NaN is no number"),
        (b'{"temperature":Infinity}', "Infinity is no number"),
        (b'{"temperature":-1e999}', "too large"),
        (b'{"seed":' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"model":"\xff"}', "byte 10 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"model":"m"}x', "Extra data"),
        (b'{"model":"\x01"}', "control character"),
        ('{"model":"ä"}'.encode("utf-16"), "not UTF-8"),
        (b"   ", "empty"),
        (b"null", "body"),
        (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', "surrogate"),
    ],
)
def test_json_that_is_none(gateway: RunningGateway, body: bytes, says: str) -> None:
    status, reply = post(gateway.port, "/v1/chat/completions", body)
    assert status == 400
    assert says in reply["error"]["message"]


def test_headers_of_the_body(gateway: RunningGateway) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    path = "/v1/chat/completions"
    assert post(gateway.port, path, body, **{"content-encoding": "identity"})[0] == 200
    assert post(gateway.port, path, body, **{"content-type": "application/x+json"})[0] == 200
    status, reply = post(gateway.port, path, body, **{"content-encoding": "gzip"})
    assert (status, reply["error"]["code"]) == (415, "unsupported_encoding")
    for kind in ("text/plain", "multipart/form-data; boundary=x", "x", "application/json2"):
        assert post(gateway.port, path, body, **{"content-type": kind})[0] == 400


MODELS = [
    ChatCompletionRequest, CompletionRequest, ResponsesRequest, TokenizeRequest, DetokenizeRequest,
    MessagesRequest, CountTokensRequest, *(block for of in BLOCKS.values() for block in of.values()),
]  # fmt: skip


def unbounded(annotation: typing.Any, place: str, field: FieldInfo | None = None) -> list[str]:
    """Places of lists and dictionaries with typed items that have no bound."""
    metadata = list(field.metadata) if field else []
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *more = typing.get_args(annotation)
        for item in more:
            metadata += [item]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    found = []
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        for name, inner in annotation.model_fields.items():
            found += unbounded(inner.annotation, f"{place}.{name}", inner)
        return found
    free = origin is dict and arguments[1] is typing.Any  # its values are not looked at
    bounded = any(getattr(item, "max_length", None) is not None for item in metadata)
    if origin in (list, dict) and not free and not bounded:
        found.append(place)
    for argument in arguments:
        if origin in (list, dict, typing.Union, UnionType):
            found += unbounded(argument, place)
    return found


@pytest.mark.parametrize("model", MODELS)
def test_every_list_is_bounded(model: str) -> None:
    assert unbounded(model, model.__name__) == []  # type: ignore[attr-defined]


def test_the_walk_finds_one_that_is_not() -> None:
    class Inner(ApiModel):
        names: list[str] | None = None

    class Outer(ApiModel):
        inner: list[Inner] | None = None
        pairs: dict[str, str] | None = None

    assert unbounded(Outer, "o") == ["o.inner", "o.inner.names", "o.pairs"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


def depth_of(value: typing.Any) -> int:
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0


@given(JSON, st.booleans())
def test_bounds_count_as_the_parser_does(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    inner = b"[" * MOST_DEPTH + body + b"]" * MOST_DEPTH
    if depth_of(value) == 0:
        check_bounds(inner, MOST_NODES)
    else:
        with pytest.raises(ApiError, match="deeper"):
            check_bounds(inner, MOST_NODES)


TEXTS = st.lists(
    st.sampled_from(["\\", '"', "u", "d8", "\ud800", "\udc00", "\U0001f600", "\n", "x", "\ue000"])
)


@given(TEXTS, st.booleans())
def test_a_lone_surrogate_is_found_and_nothing_else(parts: list[str], upper: bool) -> None:
    text = "".join(parts)
    body = json.dumps(text)
    if upper:
        body = re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda m: m[0].upper(), body)
    try:
        json.loads(body).encode()
        lone = False
    except UnicodeEncodeError:
        lone = True
    assert has_lone_surrogate(body.encode()) is lone


@given(st.binary(max_size=300))
def test_bounds_take_any_bytes(body: bytes) -> None:
    for most in (0, 1, MOST_NODES):
        try:
            check_bounds(body, most)
        except ApiError as error:
            assert error.status == 400
