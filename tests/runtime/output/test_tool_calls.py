"""Tool calls as models write them: the tables of docs/messages.md, and what any text gives."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Never

import pytest
from gemma4_runtime.output.call_scalars import QUOTE
from gemma4_runtime.output.call_values import MOST_VALUES
from gemma4_runtime.output.tool_calls import CallBody, MalformedCallError, parse_call
from hypothesis import given, settings
from hypothesis import strategies as st

DOCS = Path(__file__).parents[3] / "docs" / "messages.md"


def rows(name: str) -> list[list[str]]:
    """Cells of the table between the comments ``name`` and ``end of name``."""
    text = DOCS.read_text(encoding="utf-8")
    table = text.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return [[cell.strip().strip("`").replace("\\|", "|") for cell in line] for line in lines]


def read(written: str, *, closed: bool = True) -> tuple[str, str]:
    return parse_call(written.replace('<|"|>', QUOTE), closed=closed)


@pytest.mark.parametrize(("written", "arguments"), rows("repaired"))
def test_what_has_one_reading_is_read(written: str, arguments: str) -> None:
    name, found = read(written)
    assert (name, json.loads(found)) == ("f", json.loads(arguments))


@pytest.mark.parametrize("written", [row[0] for row in rows("refused")])
def test_what_has_two_readings_is_not_read(written: str) -> None:
    with pytest.raises(MalformedCallError):
        read(written)


@pytest.mark.parametrize(
    "written",
    [
        "", "f", "call:f", "call:f{", "{a:1}", "call:f{a}", "call:f{a:}", "call:f{a::1}",
        "call:f{a==1}", "call:f{,a:1}", "call:f{a:1,,b:2}", "call:f{a:[1,,2]}", "call:f{a:[1}",
        'call:f{a:say "x" y}', 'call:f{a:"x}', "call:f{a:'tis}", "call:f{a:Bobs'}",
        'call:f{a:"it"s b:1}', r'call:f{a:"\ud800"}', "call:f{a:x<|\"|>y}", "call:f{a:[\"x\" y]}",
        "call:f{{a:1},b:2}", "call:f{" + "{" * 200, "call:f{a:" + "[" * 200,
        'call:f{a:<|"|>Paris,b:<|"|>x<|"|>,c:<|"|>y<|"|>}', 'call:f{<|"|>a:1}', 'call:f{"a:1}',
        "call:f{a:1}call:g{}", "call:f(a:1)", 'call:f{a:[x, y<|"|> ]}', 'call:f{a:[x, y"]}', 'call:f{a:x,<|"|>,b:1}',
    ],
)  # fmt: skip
def test_garbage_is_not_read(written: str) -> None:
    with pytest.raises(MalformedCallError):
        read(written)


@pytest.mark.parametrize("written", ["call:f{a:1", "call:f{{a:1}", "call:f{a:{b:1}"])
def test_without_its_end_marker_a_call_must_be_complete(written: str) -> None:
    with pytest.raises(MalformedCallError):
        read(written, closed=False)
    assert read("call:f{a:1}", closed=False) == ("f", '{"a": 1}')


@pytest.mark.parametrize(
    "text",
    [
        "see http://x.y/z",
        "at 10:30",
        "it's",
        "New York",
        "O'Hare's",
        "a=b",
        "5 apples",
        "é, 龙"[:1],
    ],
)
def test_bare_text_stays_as_it_is(text: str) -> None:
    assert json.loads(read(f"call:f{{a:{text},b:[{text}]}}")[1]) == {"a": text, "b": [text]}


@settings(max_examples=60)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
))  # fmt: skip
@pytest.mark.parametrize("form", ["tokens", "json", "python"])
def test_every_value_comes_back(form: str, value: Any) -> None:
    """In the model's form, as JSON and as Python writes it."""
    written = {"tokens": own_form, "json": json.dumps, "python": repr}[form]({"v": value})
    if form == "python" and "\\" in written:
        return  # Python's escapes are not all JSON's
    surrogates = form == "json" and re.search(r"\\u[dD][89a-fA-F]", written)
    try:
        assert json.loads(parse_call(f"call:f{written}", closed=True)[1]) == {"v": value}
    except MalformedCallError:
        assert surrogates


def own_form(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{own_form(k)}:{own_form(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(own_form, value)) + "]"
    return f"{QUOTE}{value}{QUOTE}" if isinstance(value, str) else json.dumps(value)


PIECES = [*"{}[],:='\"\\ ax15-.n", QUOTE, "call:", "f", "True", "null", "1e999", "NaN", "\n", "é"]


@settings(max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.booleans(), st.booleans())
def test_any_text_is_valid_json_or_refused(text: str, prefix: bool, closed: bool) -> None:
    try:
        name, arguments = parse_call("call:f{" * prefix + text, closed=closed)
    except MalformedCallError:
        return

    def refuse(word: Any) -> Never:
        raise AssertionError(word)

    assert name and QUOTE not in arguments
    assert isinstance(json.loads(arguments, parse_constant=refuse), dict)
    arguments.encode()


@pytest.mark.parametrize(
    "unit",
    [" ", "{", '"', "'", '"\\', "9", " a", "a:1 ", "a:1,", "a:{", f"{QUOTE},", f"a:{QUOTE}x{QUOTE}",
     "call:", "a: \t", "1 ", "a.b "],
)  # fmt: skip
@pytest.mark.parametrize("head", ["", "call:f{", "call:f{a:["])
def test_a_megabyte_of_garbage_takes_linear_time(head: str, unit: str) -> None:
    """3.3 s is the worst that was seen (2 busy cores); a quadratic reader takes minutes."""
    start = time.process_time()
    try:
        parse_call(head + unit * ((1 << 20) // len(unit)), closed=True)
    except MalformedCallError:
        pass
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("unit", "end"),
    [("a:1,", "}"), ("a:[1],", "}"), ("[1,", ""), (r"\,e", "]}"), (f"{QUOTE}{QUOTE},", "]}")],
)  # fmt: skip
def test_a_call_has_a_bounded_number_of_values(unit: str, end: str) -> None:
    """One of 128 KiB took the thread that all streams share half a second."""
    head = "call:f{" + ("" if end == "}" else "b:[")

    def seconds(count: int) -> tuple[float, bool]:
        began = time.thread_time()
        try:
            parse_call(head + unit * count + end, closed=True)
            readable = True
        except MalformedCallError:
            readable = False
        return time.thread_time() - began, readable

    few, _ = seconds(MOST_VALUES)
    many, readable = seconds(16 * MOST_VALUES)
    assert not readable
    assert many < 5 * few + 0.05


def test_the_most_values_are_read() -> None:
    items = ",".join("1" for _ in range(MOST_VALUES - 1))
    assert parse_call(f"call:f{{a:[{items}]}}", closed=True)[0] == "f"
    with pytest.raises(MalformedCallError, match="values"):
        parse_call(f"call:f{{a:[{items},1]}}", closed=True)


def test_text_of_a_call_that_cannot_be_read() -> None:
    body = CallBody()
    for number, piece in enumerate((b"call:f{a:", None, b"\xc3", b"\xa9\x00", None, b" b")):
        body.add(piece, number)
    shown = body.shown()
    assert b"".join(data for data, _ in shown) == 'call:f{a:"é\0" b'.encode()
    assert [number for _, number in shown] == [*range(6)]
    with pytest.raises(MalformedCallError):
        body.read(closed=True)
