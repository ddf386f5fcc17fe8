"""docs/errors.md is made from the codes, the gateway's table and the table of bad inputs;
`UPDATE_DOCS=1 pytest` on this file writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gemma4_client.codes import ClientCode
from gemma4_gateway.translate.failures import form_of
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.bad_inputs import BAD
from gemma4_testing.cases.prepared_requests import prepare

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
HEAD = """# Errors

Each error has a status, a code and a message. The status is one of five and says what kind of error
it is. The code says exactly what went wrong: a program decides by it. The message is for a person,
and may be worded better at any time. A code keeps its name and meaning; new ones may come, so treat
one that you do not know by its status.

* The Python SDK raises an exception for each status, with `code`, `field` (the input at fault) and
  `details`: `except InvalidRequestError as error: if error.code == "prompt_too_long": ...`.
* Triton gives a client one text. It is `STATUS: [code name=value ...] message`, where a value is a
  number or a JSON string, and `field` is one of the names. An ensemble puts its name before it:
  `in ensemble 'gemma4', `. Text of a request comes only after the bracket or inside such a string,
  so a request cannot choose its code:

  ```
  INVALID_ARGUMENT: [out_of_range field="top_p" most=1.0] top_p: 1.5 must be at most 1
  ```

* The gateway answers in OpenAI's form. The table says with which HTTP status and `code`, when no
  other back end would do better.
* The access logs of the server and of the gateway have the code of each request that failed.

## What Triton says before it asks a model

These have no status and no code: Triton's HTTP `generate` cannot read the request, or has nothing
to give to a model.

| Triton's words | what it means and what to do |
|---|---|
| `request has 0 inputs` | The body is `{}`, or has no field that is an input: send `text_input` or `messages`. |
| `attempt to access JSON non-string as string` | `messages`, `tools` or another text is an array or an object. They are JSON in a string: `"messages": "[{\\"role\\": ...}]"`, which `json.dumps` or `jq tojson` writes. The gateway takes them as they are. |
| `attempt to access JSON non-signed-integer as signed-integer` | A number is written as a string, or is null: leave out what you do not set. |
| `attempt to get members for non-object` | The body is not an object. |
| `parameter 'x' has invalid type` | `x` is no input, and its value is an object, an array or null; see its spelling. |

## Codes of the server

| code | status | gateway | what it means and what to do | details |
|---|---|---|---|---|
"""
CLIENT = """
## Codes of the SDK

The SDK makes these itself: for what stands between it and the server, and for what Triton and gRPC
say without a code.

| code | what it means |
|---|---|
"""
INPUTS = """
## Bad inputs

Made from the table that the tests send to the runtime and to a real server, with the demo engine's
limits. Every status is INVALID_ARGUMENT: nothing was generated, nothing else was disturbed.

| input | code | message |
|---|---|---|
"""


def code_line(code: Code) -> str:
    form = form_of(code, code.status)
    gateway = f"{form.status}" + (f" `{form.code}`" if form.code else "")
    details = ", ".join(f"`{name}`" for name in code.details)
    return f"| `{code}` | {code.status} | {gateway} | {code.help} | {details} |\n"


@pytest.fixture(scope="module")
def refusals(checkpoint: Path) -> list[tuple[str, RequestError]]:
    """Names of the bad inputs, and what the runtime says of them."""
    limits = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
    preparer = Preparer(checkpoint, limits=limits, capabilities=CAPABILITIES["llama_cpp"])
    found = []
    for bad in BAD:
        with pytest.raises(RequestError) as caught:
            prepare(preparer, bad.inputs)
        found.append((bad.name, caught.value))
    return found


def test_the_page_is_up_to_date(refusals: list[tuple[str, RequestError]]) -> None:
    text = HEAD + "".join(map(code_line, Code))
    text += CLIENT + "".join(f"| `{code}` | {code.help} |\n" for code in ClientCode)
    text += INPUTS
    for name, error in refusals:
        message = error.message.replace("|", "\\|").replace("\n", " ")
        text += f"| {name} | `{error.code}` | {message[:300].replace('<', '&lt;')} |\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
