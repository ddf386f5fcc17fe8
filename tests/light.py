"""Which tests of clients, gateway, load tests and commands `pytest --light` leaves out (`make
test-pythons`): those of what runs on the server's Pythons only."""

from __future__ import annotations

__all__ = ["NOT_LIGHT"]

NOT_LIGHT = {
    "cli/test_bad_values.py": "options of the server too",
    "cli/test_cli_page.py": "makes a page of every command",
    "cli/test_help.py": "compares with the build",
    "clients/gateway/test_gateway_logprobs.py": "compares with the models' own step",
    "clients/gateway/test_request_plan.py": "compares with the models' own step",
    "clients/gateway/test_gateway_schema.py": "needs schemathesis",
    "clients/dynamo/test_dynamo_card.py": "builds an engine folder",
    "clients/dynamo/test_dynamo_model.py": "checks a chat template, with the server's packages",
    "clients/test_reference_page.py": "makes a page, by griffe",
    "clients/test_wire.py": "compares with the models' own step",
}
"""Paths under tests/, some with the name of a test, and why."""
