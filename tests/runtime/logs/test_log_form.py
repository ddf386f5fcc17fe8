"""A process writes its lines as JSON, or as text in one style."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from gemma4_runtime.logs import events, standard
from gemma4_runtime.logs.form import escaped, json_line, set_log_form, written
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.text import fact, short_id, text_line
from hypothesis import given
from hypothesis import strategies as st

ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    found: list[str] = []

    class Writer:
        def write(self, line: str) -> None:
            found.append(line)

    monkeypatch.setattr(events, "writer_of", lambda number: Writer())
    yield found
    set_log_form("json")
    logging.getLogger().handlers = []


def test_the_style(lines: list[str]) -> None:
    fields: dict[str, Any] = {
        "reason": "was lost",
        "delay_s": 0.5,
        "ok": True,
        "none": None,
        "at": ["a", "b"],
    }
    events.log_event("restarting", level="warning", **fields)
    assert json.loads(lines.pop())["reason"] == "was lost"
    set_log_form("text")
    events.log_event("restarting", level="warning", **fields)
    shown = r"\d\d:\d\d:\d\d WARN  restarting reason=\"was lost\" delay_s=0.5 ok=true at=a,b"
    assert re.fullmatch(shown, lines[0])
    set_log_form("color")
    events.log_event("restarting", level="warning", **fields)
    assert "\x1b[33mWARN \x1b[0m" in lines[1]
    assert re.fullmatch(shown, re.sub(r"\x1b\[\d+m", "", lines[1]))


@given(st.dictionaries(ANY, JSON, max_size=4), ANY, ANY)
def test_any_field_stays_in_its_line(fields: dict[str, Any], event: str, level: str) -> None:
    line = fields | {"time": "2026-11-29T20:05:39.001Z", "event": event, "level": level}
    text = text_line(line, color=False)
    assert text.isprintable()
    assert (
        re.sub("\x1b\\[(?:0|1|2|31|32|33|1;31)m", "", text_line(line, color=True)).rstrip() == text
    )
    assert json.loads(json_line(line)) == line and json_line(line).isprintable()


@given(JSON)
def test_escapes_change_no_value(value: Any) -> None:
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("req_3003e648cc40498d9c97d25db9949fd3", "3003e648"),
        ("6cd2c503-f00d-4aaa-8f00-000000000000", "6cd2c503"),
        ("gemma4-demo", "gemma4-demo"),
        ("309302f80be8", "309302f80be8"),
        ("127.0.0.1:8001", "127.0.0.1:8001"),
    ],
)
def test_short_ids(text: str, shown: str) -> None:
    assert short_id(text) == shown == fact(text)


def test_what_libraries_log(lines: list[str]) -> None:
    set_log_form("text")
    standard.take_logging()
    logging.getLogger("asyncio").info("unheard")
    logging.getLogger("asyncio").warning("slow: %s", "it")
    logging.getLogger("odd").error("%d", "no number")
    try:
        raise ValueError("deep")
    except ValueError:
        logging.getLogger("asyncio").exception("broke")
    assert [line[9:] for line in lines[:2]] == [
        'WARN  log logger=asyncio message="slow: it"', "ERROR log logger=odd message=%d"
    ]  # fmt: skip
    assert len(lines) == 3 and "ValueError: deep" in lines[2]


def test_what_cannot_be_written_is_said() -> None:
    circle: list[Any] = []
    circle.append(circle)
    fields = log_fields("event", {"circle": circle})
    assert "lost" in json.loads(written(fields, form="json"))
    assert written(fields, form="text")
