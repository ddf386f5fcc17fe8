"""/v1/messages over HTTP: headers, keys, errors of every layer, and the room of the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from gemma4_gateway.keys import KeyEntry, KeyRing
from gemma4_testing.cases.error_forms import error_of
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import InProcess, gateway_before

BODY = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/messages"


@pytest.fixture(scope="module")
def gateway() -> Iterator[InProcess]:
    with fake_backend("good") as backend, gateway_before(backend.address) as made:
        yield made


def test_headers(gateway: InProcess) -> None:
    with gateway.http() as http:
        for version in ("2023-06-01", "2026-10-21"):
            headers = {
                "anthropic-version": version,
                "anthropic-beta": "a,b",
                "x-request-id": "mine",
            }
            reply = http.post(f"{PATH}?beta=true", json=BODY, headers=headers)
            assert (reply.status_code, reply.headers["request-id"]) == (200, "mine")
            assert reply.json()["content"] == [{"type": "text", "text": "hello"}]
        reply = http.post(PATH, json=BODY, headers={"anthropic-version": "2022-01-01"})
        assert "2026-10-21" in error_of(PATH, reply.json())["message"]
        assert "request-id" not in http.get("/v1/models").headers


def test_models_have_the_fields_of_both_apis(gateway: InProcess) -> None:
    with gateway.http() as http:
        listed = http.get("/v1/models").json()
        (model,) = listed["data"]
        assert http.get("/v1/models/m").json() == model
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "m", "m")
    assert (model["id"], model["object"], model["type"], model["display_name"]) == (
        "m", "model", "model", "m",
    )  # fmt: skip
    made = datetime.strptime(model["created_at"], "%Y-%m-%dT%H:%M:%S%z")
    assert made.timestamp() == model["created"]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        (PATH, b"{", 400, "invalid_request_error"),
        (PATH, b"{}", 400, "invalid_request_error"),
        (PATH, json.dumps(BODY | {"model": "x"}).encode(), 404, "not_found_error"),
        (PATH, b" " * (5 << 20), 413, "request_too_large"),
        (f"{PATH}/count_tokens", b"{}", 400, "invalid_request_error"),
        (f"{PATH}/batches", b"{}", 404, "not_found_error"),
    ],
)
def test_errors_of_every_layer(
    gateway: InProcess, path: str, body: bytes, status: int, kind: str
) -> None:
    with gateway.http() as http:
        reply = http.post(path, content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, error_of(path, reply.json())["type"]) == (status, kind)
    assert reply.json()["request_id"] == reply.headers["request-id"]


def test_a_key_in_either_header(gateway: InProcess) -> None:
    ring = gateway.gateway.ring
    entry = KeyEntry(
        name="a", sha256="2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    )  # of "secret"
    ring.replace(KeyRing([entry]))
    wrong, right = "Bearer wrong", "Bearer secret"
    try:
        with gateway.http() as http:
            for headers, status in (
                ({}, 401),
                ({"x-api-key": "wrong"}, 401),
                ({"authorization": wrong, "x-api-key": "wrong"}, 401),
                ({"x-api-key": "secret"}, 200),
                ({"authorization": right}, 200),
                ({"authorization": wrong, "x-api-key": "secret"}, 200),
                ({"authorization": right, "x-api-key": "wrong"}, 200),
            ):
                reply = http.post(PATH, json=BODY, headers=headers)
                assert reply.status_code == status, headers
                assert http.get("/v1/models", headers=headers).status_code == status
                if status == 401:
                    assert error_of(PATH, reply.json())["type"] == "authentication_error"
    finally:
        ring.replace(KeyRing([]))


def test_it_is_counted_as_the_others(gateway: InProcess) -> None:
    with gateway.http() as http:
        http.post(PATH, json=BODY)
        counted = http.post(
            f"{PATH}/count_tokens", json={k: BODY[k] for k in ("model", "messages")}
        )
        assert counted.json()["input_tokens"] >= 0
        text = http.get("/metrics").text
    for route in ("messages", "count_tokens"):
        assert f'gemma4_gateway_requests_total{{route="{route}",status="200"}}' in text
    lines = [json.loads(line) for line in gateway.log.getvalue().splitlines()]
    mine = [line for line in lines if line.get("path") == PATH and line["status"] == 200]
    assert mine[-1]["completion_tokens"] == 1 and mine[-1]["model"] == "m"
