"""The codes of errors: one meaning each, raised somewhere, tested somewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_client.codes import ClientCode
from gemma4_runtime.errors import UNKNOWN_CODE, Code, RequestError, Status, invalid

ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / "runtime").rglob("*.py"),
    *(ROOT / "model_repository").rglob("*.py"),
    *(ROOT / "nvidia_repository").rglob("*.py"),
]
TESTS = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
TESTS += (ROOT / "testing").rglob("*.py")
ALWAYS = {
    Code.PROMPT_TOO_LONG: {"limit"},
    Code.TOO_MANY_TOKENS: {"limit"},
    Code.INPUT_TOO_LARGE: {"size", "limit"},
    Code.FEED_FULL: {"limit"},
}
"""Details that a client can count on."""


def raised() -> Iterator[tuple[str, ast.Call, Code]]:
    """Each place where an error is made, and its code."""
    for path in SOURCES:
        if path.name in ("errors.py", "error_codes.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("invalid", "RequestError")
            ):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                first = ast.unparse(node.args[0])
                if first == "self.code":  # an error that another process made
                    continue
                found = re.fullmatch(r"Code\.([A-Z_]+)", first)
                assert found, f"{place}: give a Code, not {first}"
                yield place, node, Code[found[1]]


RAISED = list(raised())


def test_each_code_is_raised() -> None:
    made = {code for _, _, code in RAISED} | {Code.QUEUE_FULL, Code.INVALID_JSON}
    assert set(Code) - made == set()


@pytest.mark.parametrize(("place", "call", "code"), RAISED, ids=[place for place, _, _ in RAISED])
def test_the_details_are_those_that_are_documented(place: Any, call: Any, code: Any) -> None:
    given = {keyword.arg for keyword in call.keywords} - {"field"}
    for keyword in call.keywords:
        if keyword.arg == "details":
            assert isinstance(keyword.value, ast.Dict)
            given |= {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
            given.discard("details")
    assert given <= set(code.details)
    assert given >= ALWAYS.get(code, set())
    inputs = call.func.id == "invalid" or place.startswith("runtime/gemma4_runtime/json_text.py")
    assert inputs == (code.status is Status.INVALID_ARGUMENT)


def test_each_code_is_looked_at_by_a_test() -> None:
    """By its name in a test, or by a bad input, whose codes are on the page that a test compares."""
    texts = [path.read_text(encoding="utf-8") for path in TESTS]
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").split("## Bad inputs")[1]
    seen = {code for code in Code if any(f"Code.{code.name}" in text for text in texts)}
    assert set(Code) - seen - {code for code in Code if f"| `{code}` |" in page} == set()


@pytest.mark.parametrize("code", list(Code) + list(ClientCode))
def test_a_code_is_one_word_with_one_meaning(code: Any) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code.value) and code.value == code.name.lower()
    assert code.help.endswith(".") and "|" not in code.help


def test_no_two_are_equal() -> None:
    values = [code.value for code in (*Code, *ClientCode)]
    assert len(set(values)) == len(values)
    assert UNKNOWN_CODE == ClientCode.UNKNOWN


def test_the_code_gives_the_status() -> None:
    for code in Code:
        assert RequestError(code, "x").status is code.status


def test_only_an_input_can_be_invalid() -> None:
    with pytest.raises(AssertionError):
        invalid(Code.DRAINING, "x", "y")
