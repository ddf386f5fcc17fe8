"""schemathesis against the gateway's own OpenAPI, with a model behind it: no 5xx, no hang, answers
as the document says, errors in the form of the API. Its command's other phases have no model:
tests/clients/gateway/test_gateway_schema.py."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from gemma4_testing.cases.error_forms import error_of
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import user
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

LENGTHS = {
    "/v1/chat/completions": "max_tokens",
    "/v1/completions": "max_tokens",
    "/v1/responses": "max_output_tokens",
    "/v1/messages": "max_tokens",
}
HANG_S = 20
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


OPERATIONS = ["POST /v1/chat/completions", "POST /v1/completions", "POST /v1/responses",
              "POST /v1/messages", "POST /v1/messages/count_tokens",
              "POST /v1/responses/input_tokens", "POST /v1/responses/compact", "GET /v1/responses/{response_id}",
              "DELETE /v1/responses/{response_id}", "GET /v1/responses/{response_id}/input_items",
              "GET /v1/models", "GET /v1/models/{model}", "POST /tokenize", "POST /detokenize",
              "GET /health/live", "GET /health/ready", "GET /health", "GET /ping", "GET /version",
              "GET /metrics", "GET /"]  # fmt: skip


@pytest.fixture(scope="module")
def operations(gateway: RunningGateway) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(gateway.url + "/openapi.json")
    return {o.label: o for o in (result.ok() for result in schema.get_all_operations())}


def aim(case: Any) -> None:
    """Requests that are right shall reach the engine, and end soon."""
    body = case.body
    if not isinstance(body, dict):
        return
    if isinstance(body.get("model"), str):
        body["model"] = MODEL
    messages = body.get("messages")
    if isinstance(messages, list) and len(messages) % 2:
        body["messages"] = user("Hi")
        for name in ("tools", "tool_choice", "structured_outputs"):
            body.pop(name, None)
    if case.path == "/v1/responses/compact" and not body.get("input"):
        body["input"] = "Hi"
        body.pop("previous_response_id", None)
    if case.path == "/tokenize" and isinstance(body.get("prompt"), str):
        for name in ("messages", "tools", "chat_template_kwargs", "continue_final_message"):
            body.pop(name, None)
    if case.path in LENGTHS:
        for name in ("min_tokens", "ignore_eos", "max_completion_tokens"):
            body.pop(name, None)
        if body.get(LENGTHS[case.path]) is None or body[LENGTHS[case.path]] is not False:
            body[LENGTHS[case.path]] = 3


def test_every_path_is_here(operations: dict[str, Any]) -> None:
    assert set(operations) == set(OPERATIONS)


POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [(label, POSITIVE) for label in OPERATIONS]
CASES += [(label, NEGATIVE) for label in OPERATIONS if label.startswith("POST")]


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_no_request_breaks_it(operations: dict[str, Any], label: str, mode: Any) -> None:
    """Positive: requests that fit the schema, of which some are answered; negative: that do
    not."""
    statuses = set()

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=operations[label].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        aim(case)
        reply = case.call(timeout=HANG_S)
        statuses.add(reply.status_code)
        case.validate_response(reply, checks=CHECKS)
        if reply.status_code >= 400:
            error_of(case.path, reply.json())

    run()
    if mode is POSITIVE and "{" not in label:
        assert 200 in statuses
