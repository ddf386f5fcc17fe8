"""Writes docs/reference/python_sdk.md from the sources of ``gemma4_client``.

    python clients/reference.py

Reads signatures and docstrings with griffe, imports nothing. A test compares the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "python_sdk.md"

HEAD = """# gemma4_client: reference

Made from the sources by `clients/reference.py`; the tour is [python_sdk.md](../python_sdk.md).

"""
GROUPS = {
    "Clients": ("Client", "AsyncClient", "Options"),
    "Answers": ("Stream", "AsyncStream", "Delta", "Answer", "Usage", "Tokens", "ServerInfo"),
    "Settings": ("RetryPolicy", "CircuitBreaker", "Cache", "TLS"),
    "Errors": (
        "Gemma4Error",
        "InvalidRequestError",
        "UnavailableError",
        "CircuitOpenError",
        "DeadlineExceededError",
        "CancelledError",
        "AccessDeniedError",
        "ServerError",
        "StreamOrderError",
        "ResponseFormatError",
    ),
}


def prose(docstring: griffe.Docstring | None) -> str:
    """Show Sphinx roles as plain code."""
    text = docstring.value.strip() if docstring else ""
    text = re.sub(r":\w+:`~?(?:gemma4_client\.)?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def signature(function: Any, name: str) -> str:
    """Write one parameter a line when it is long; ``self`` left out."""
    parts: list[str] = []
    starred = False
    for parameter in function.parameters:
        if parameter.name == "self":
            continue
        kind = parameter.kind.name if parameter.kind else ""
        if kind == "keyword_only" and not starred:
            parts.append("*")
            starred = True
        stars = {"var_positional": "*", "var_keyword": "**"}.get(kind, "")
        text = stars + parameter.name
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and not stars:
            text += f" = {parameter.default}"
        parts.append(text)
    shown = function.returns is not None and function.name != "__init__"
    returns = f" -> {function.returns}" if shown else ""
    line = f"{name}({', '.join(parts)}){returns}"
    if len(line) <= 88:
        return line
    inner = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{inner}){returns}"


def code(text: str) -> str:
    return f"```python\n{text}\n```"


def members(cls: Any) -> Iterator[str]:
    """Give public methods, properties and documented fields, in the order of the source."""
    for name, member in sorted(cls.members.items(), key=lambda item: item[1].lineno or 0):
        if name.startswith("_") or member.is_alias:
            continue
        if member.is_function:
            yield f"#### {cls.name}.{name}\n"
            prefix = "async " if "async" in member.labels else ""
            yield code(prefix + signature(member, name)) + "\n"
            yield prose(member.docstring) + "\n"
        elif "property" in member.labels:
            yield f"- `{name}: {member.annotation}` {prose(member.docstring)}".rstrip()
        elif member.annotation is not None:
            value = f" = {member.value}" if member.value is not None else ""
            text = f"- `{name}: {member.annotation}{value}` {prose(member.docstring)}"
            yield re.sub(r"\s+", " ", text).rstrip()


def describe(cls: Any) -> Iterator[str]:
    bases = ", ".join(str(base) for base in cls.bases)
    yield f"### {cls.name}\n"
    if bases and bases != "Exception":
        yield f"A kind of `{bases}`.\n"
    init = cls.members.get("__init__")
    if init is not None and cls.name not in ("Stream", "AsyncStream"):
        yield code(signature(init, cls.name)) + "\n"
    yield prose(cls.docstring) + "\n"
    yield from members(cls)
    yield ""


def page() -> str:
    """Return the whole text."""
    package = griffe.load("gemma4_client", search_paths=[ROOT / "clients"], allow_inspection=False)
    public = set(package.exports or ())
    grouped = {name for names in GROUPS.values() for name in names}
    if public != grouped:
        raise ValueError(f"GROUPS and __all__ differ in {sorted(public ^ grouped)}")
    lines = [HEAD]
    for title, names in GROUPS.items():
        lines.append(f"## {title}\n")
        for name in names:
            lines += describe(package[name].final_target)
    text = "\n".join(lines)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
