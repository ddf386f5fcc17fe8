"""In which form this process writes its log: JSON for programs, or text for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.text import text_line

__all__ = ["LogForm", "escaped", "json_line", "log_form", "set_log_form", "written"]

LogForm = Literal["json", "text", "color"]
"""``color``: text with the colors of a terminal."""
_form: LogForm = "json"


def set_log_form(form: LogForm) -> None:
    """Choose the form of every line from now on. The models' processes keep JSON, which the
    supervisor reads."""
    global _form
    _form = form


def log_form() -> LogForm:
    """Return the form."""
    return _form


def written(fields: Mapping[str, object], *, form: LogForm | None = None) -> str:
    """Return a line of :func:`~gemma4_runtime.logs.lines.log_fields` in ``form``; None: that of
    this process. Never raises."""
    form = form or _form
    try:
        return json_line(fields) if form == "json" else text_line(fields, color=form == "color")
    except Exception as error:  # noqa: BLE001 - a line must not end what it tells of
        lost: dict[str, object] = {"lost": repr(error)}
        return json_line(log_fields(str(fields.get("event")), lost, level="error"))


def json_line(fields: Mapping[str, object]) -> str:
    """Return one JSON object on one line; a field that is no JSON is written as its ``str()``.
    What a terminal would obey, or does not show, is an escape of JSON's."""
    text = json.dumps(fields, ensure_ascii=False, default=str)
    return escaped(text)


def escaped(text: str) -> str:
    """Return JSON with every character that is not shown as an escape; its values stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
