"""Parameters of /v1/completions -> the engine's inputs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_client import InvalidRequestError
from gemma4_gateway.body.route import validated
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.translate.completions import plan_completion
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.request_plan import Plan


def completion(**more: Any) -> Plan:
    return plan_completion(CompletionRequest.model_validate({"model": "m", **more}))


@pytest.mark.parametrize(
    ("prompt", "texts", "ids"),
    [
        ("a", ["a"], [None]),
        (["a", "b"], ["a", "b"], [None, None]),
        ([2, 5], [None], [[2, 5]]),
        ([[2, 5], [7]], [None, None], [[2, 5], [7]]),
    ],
)
def test_prompts_of_a_completion(prompt: Any, texts: list[Any], ids: list[Any]) -> None:
    found = completion(prompt=prompt, n=2).calls
    assert [call.text for call in found] == [text for text in texts for _ in range(2)]
    assert [call.token_ids for call in found] == [one for one in ids for _ in range(2)]


@pytest.mark.parametrize(
    ("prompt", "param"),
    [
        ([], "prompt"),
        ([[]], "prompt[0]"),
        ([2, "a"], "prompt[1]"),
        (["a", 2], "prompt[1]"),
        ([[2], "a"], "prompt[1]"),
        ([[2, None]], "prompt[0][1]"),
        ([2, -1], "prompt[1]"),
        ([2, 2**31], "prompt[1]"),
        ([True], "prompt[0]"),
        ([2.0], "prompt[0]"),
        (5, "prompt"),
        ({}, "prompt"),
        ([[2]] * 65, "prompt"),
    ],
)
def test_prompts_that_are_none(prompt: Any, param: str) -> None:
    body = json.dumps({"model": "m", "prompt": prompt}).encode()
    with pytest.raises(ApiError) as caught:
        validated(CompletionRequest, body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_token_ids_are_not_echoed() -> None:
    with pytest.raises(ApiError, match="echo: with token ids"):
        completion(prompt=[2, 5], echo=True)


@pytest.mark.parametrize(
    ("prompt", "field", "param"),
    [
        ([2, 5], "prompt_token_ids[1]", "prompt[1]"),
        ([[2], [2, 5]], "prompt_token_ids[1]", "prompt[1][1]"),
        ("a", "text_input", "prompt"),
        (["a", "b"], "text_input", "prompt[1]"),
    ],
)
def test_a_refusal_names_the_prompt(prompt: Any, field: str, param: str) -> None:
    found = completion(prompt=prompt)
    names = found.names | found.calls[-1].names
    assert engine_refusal(InvalidRequestError(f"{field}: x", field=field), names).param == param
