"""A method that a path does not take gets 405 and the header Allow, with all that it takes; a path
that is nearly right is told which is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gemma4_gateway.app import openapi
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before

PATHS = {
    path: {method.upper() for method in operations} | ({"HEAD"} if "get" in operations else set())
    for path, operations in openapi()["paths"].items()
}
MORE = {
    "/v1/models/a/b": PATHS["/v1/models/{model}"],
    "/docs": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[InProcess]:
    with fake_backend("good") as backend, gateway_before(backend.address) as made:
        yield made


@pytest.mark.parametrize(("path", "taken"), [*PATHS.items(), *MORE.items()])
def test_allow_names_every_method_of_the_path(
    gateway: InProcess, path: str, taken: set[str]
) -> None:
    with gateway.http() as http:
        for method in {"DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"} - taken:
            reply = http.request(method, path.format(response_id="x", model="x"))
            if reply.status_code == 404:  # of GET /v1/responses/compact, a response of this name
                assert path.startswith("/v1/responses/")
                continue
            assert reply.status_code == 405
            told = set(reply.headers["allow"].split(", "))
            assert told | {"HEAD"} == taken | {"HEAD"}


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("//v1/models", "/v1/models"),
        ("/openai/deployments/gemma/chat/completions", "/v1/chat/completions"),
        ("/v1/messages/count_tokens/", "/v1/messages/count_tokens"),
        ("/v1/tokenize", "/tokenize"),
        ("/responses", "/v1/responses"),
        ("/healthz", None),
        ("/v1/embeddings", None),
        ("/v1/xchat/completions", "/v1/completions"),
        ("/metrics/", "/metrics"),
    ],
)
def test_a_path_that_is_nearly_right(gateway: InProcess, path: str, meant: str | None) -> None:
    with gateway.http() as http:
        reply = http.post(f"{gateway.url}{path}", json={})
    assert reply.status_code == 404, reply.text
    error = reply.json()["error"]
    words = f"did you mean {meant}? Or see /docs" if meant else "there is no such path; see /docs"
    assert error["message"].endswith(words)
