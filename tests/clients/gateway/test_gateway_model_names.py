"""The name of the model, which a client may leave out where there is one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.errors import ApiError
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.settings import Settings
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before

USER = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/responses/input_tokens": {"input": "Hi"},
    "/tokenize": {"prompt": "Hi"},
    "/detokenize": {"tokens": [1]},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[InProcess]:
    with fake_backend("good") as backend, gateway_before(backend.address) as made:
        yield made


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("name", [{}, {"model": None}, {"model": ""}], ids=["none", "null", "''"])
def test_it_may_be_left_out(gateway: InProcess, path: str, name: dict[str, Any]) -> None:
    with gateway.http() as http:
        named = http.post(path, json=BODIES[path] | {"model": "m"})
        reply = http.post(path, json=BODIES[path] | name)
        other = http.post(path, json=BODIES[path] | {"model": "other"})
    assert (named.status_code, reply.status_code) == (200, 200), reply.text
    assert reply.json().keys() == named.json().keys()
    assert reply.json().get("model") == named.json().get("model")
    assert (other.status_code, other.json()["error"]["param"]) == (404, "model")


@pytest.mark.parametrize(
    ("path", "more"), [("/v1/messages", {"max_tokens": 9}), ("/v1/responses/compact", {})]
)
def test_it_is_needed_where_the_apis_ask_for_it(
    gateway: InProcess, path: str, more: dict[str, Any]
) -> None:
    body = {"input": "Hi"} if "compact" in path else {"messages": USER}
    with gateway.http() as http:
        assert http.post(path, json=body | more | {"model": "m"}).status_code == 200
        reply = http.post(path, json=body | more)
    assert (reply.status_code, "model" in reply.text) == (400, True), reply.text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_a_streams_events_have_it(gateway: InProcess, path: str) -> None:
    with gateway.http() as http:
        reply = http.post(path, json=BODIES[path] | {"stream": True})
    assert reply.status_code == 200
    assert '"model":"m"' in reply.text


def of_engines(*names: str, aliases: tuple[str, ...] = ()) -> Gateway:
    """A gateway, not started, before back ends whose engines have these names."""
    made = Gateway(Settings(model_names=aliases), Log("json", io.StringIO()))
    backends: Any = [SimpleNamespace(info=SimpleNamespace(model=name)) for name in names]
    made.backends = backends
    return made


def test_it_is_asked_for_where_there_are_several() -> None:
    assert of_engines("a", "a").check_model(None) == "a"
    assert of_engines("a", "b", aliases=("x", "y")).check_model(None) == "x"
    with pytest.raises(ApiError, match="model: there are several; name one of a, b") as caught:
        of_engines("a", "b").check_model(None)
    assert (caught.value.status, caught.value.param) == (400, "model")
    assert of_engines("a", "b").check_model("b") == "b"
