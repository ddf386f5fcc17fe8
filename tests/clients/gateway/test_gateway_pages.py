"""What docs/ says of parameters is made from the code; `UPDATE_DOCS=1 pytest` on this file writes it
anew."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from gemma4_gateway.app import openapi
from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessagesRequest
from gemma4_gateway.schemas.chat import ChatCompletionRequest
from gemma4_gateway.schemas.completions import CompletionRequest
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.schemas.tokenize import DetokenizeRequest, TokenizeRequest
from gemma4_gateway.schemas.usual import refusal

DOCS = Path(__file__).parents[3] / "docs"
BODIES = {
    "/v1/chat/completions": ChatCompletionRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponsesRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountTokensRequest,
    "/tokenize": TokenizeRequest,
    "/detokenize": DetokenizeRequest,
}
START = "<!-- parameters: made from the code, see tests/clients/gateway/test_gateway_pages.py -->\n"
END = "<!-- end of parameters -->\n"
ALIASES = {"schema_": "schema", "json_schema": "json"}


def accepted(schema: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "anyOf" in schema:
        kinds = [accepted(s) for s in schema["anyOf"] if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        return "object"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"])
    if "oneOf" in schema and "discriminator" not in schema:
        return " or ".join(dict.fromkeys(map(accepted, schema["oneOf"])))
    if "oneOf" in schema:
        return "object"
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in schema
    ]
    kind = schema.get("type", "anything")
    return f"{kind} {', '.join(bounds)}".strip()


def table(path: str, model: type[Any]) -> str:
    schema = model.model_json_schema()
    lines = [f"### `{path}`", "", "| parameter | takes | what |", "|---|---|---|"]
    effective = [n for n in schema["properties"] if n not in model.no_effect]
    for name in effective:
        field = schema["properties"][name]
        what = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{name}` | {accepted(field)} | {what} |")
    idle = [f"`{n}` ({model.no_effect[n]})" for n in schema["properties"] if n in model.no_effect]
    if idle:
        lines += ["", "Accepted without effect: " + ", ".join(idle) + "."]
    if model.refused:
        refused = "; ".join(
            f"`{name}` ({refusal(name, model.refused, model.usual)})" for name in model.refused
        )
        lines += ["", f"Refused by name: {refused}."]
    return "\n".join([*lines, "", ""])


def same(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_the_parameters_are_up_to_date() -> None:
    page = DOCS / "gateway.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    tables = "\n".join(table(path, model) for path, model in BODIES.items())
    same(page, f"{before}{START}\n{tables}{END}{after}")


def test_the_openapi_document_is_up_to_date() -> None:
    text = json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"
    same(DOCS / "reference" / "gateway_openapi.json", text)


@pytest.mark.parametrize("model", BODIES.values())
def test_a_parameter_has_one_status(model: type[Any]) -> None:
    assert not set(model.refused) & set(model.model_fields)


def test_excerpts_are_those_of_the_examples() -> None:
    page = (DOCS / "quick_start.md").read_text(encoding="utf-8")
    for block, name in re.findall(
        r"```py\n(.*?)```.*?\(\.\./clients/examples/(\w+\.py)\)", page, re.S
    ):
        source = (DOCS.parent / "clients" / "examples" / name).read_text(encoding="utf-8")
        for line in block.splitlines():
            assert line.strip() in source, (name, line)


def test_links_lead_somewhere() -> None:
    for name in ("gateway.md", "quick_start.md"):
        for target in re.findall(
            r"\]\((?!http)([^)#]+)\)", (DOCS / name).read_text(encoding="utf-8")
        ):
            assert (DOCS / target).exists(), target
