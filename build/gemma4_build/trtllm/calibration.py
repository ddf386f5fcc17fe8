"""Texts that the model reads while the ranges of its activations are measured.

The package's own are few and short, in several languages and kinds, rendered with the checkpoint's
chat template; a user's own conversations are better.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.chat_template import ChatTemplate
from tokenizers import Tokenizer

from gemma4_build.errors import BadOptionError

__all__ = ["calibration_ids"]

_LEAST_TOKENS = 4
"""Tokens below which a text is left out."""


def calibration_ids(
    folder: Path, file: Path | None, *, samples: int, length: int
) -> list[list[int]]:
    """Return up to ``samples`` token id lists of at most ``length`` tokens each; each starts with
    BOS.

    ``folder`` is the checkpoint. ``file`` has one JSON object a line, ``{"messages": [...]}`` or
    ``{"text": "..."}``. Raises :class:`BadOptionError`, with the line.
    """
    template = ChatTemplate(folder / "chat_template.jinja")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found: list[list[int]] = []
    for where, entry in _entries(file):
        text = _text(entry, template, where)
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:length]
        if len(ids) >= _LEAST_TOKENS:
            found.append(ids)
        if len(found) == samples:
            break
    if not found:
        raise BadOptionError(f"--calibration {file}: has no text of {_LEAST_TOKENS} tokens or more")
    return found


def _entries(file: Path | None) -> list[tuple[str, Any]]:
    if file is None:
        text = files("gemma4_build.trtllm").joinpath("calibration.jsonl").read_text("utf-8")
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadOptionError(f"--calibration {file}: cannot be read ({error})") from None
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"--calibration {file}: line {number}"
        try:
            entries.append((where, json.loads(line)))
        except ValueError as error:
            raise BadOptionError(f"{where}: not JSON ({error})") from None
    return entries


def _text(entry: Any, template: ChatTemplate, where: str) -> str:
    if isinstance(entry, dict):
        text, messages = entry.get("text"), entry.get("messages")
        if isinstance(text, str) and messages is None:
            return text if text.startswith("<bos>") else f"<bos>{text}"
        if isinstance(messages, list) and messages and text is None:
            return _render(messages, template, where)
    raise BadOptionError(
        f'{where}: need {{"messages": [{{"role": ..., "content": ...}}, ...]}} or {{"text": "..."}}'
    )


def _render(messages: list[Any], template: ChatTemplate, where: str) -> str:
    """Render a conversation; one that ends with an answer includes it."""
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
        raise BadOptionError(f"{where}: every message needs a role and content")
    answer = ""
    if messages[-1]["role"] == "assistant" and len(messages) > 1:
        *messages, last = messages
        answer = f"{last.get('content') or ''}<turn|>"
    try:
        return template.render(messages, [], thinking=False) + answer
    except RequestError as error:
        raise BadOptionError(f"{where}: {error}") from None
