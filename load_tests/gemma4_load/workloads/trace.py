"""Replay of recorded traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gemma4_load.errors import OptionError
from gemma4_load.workloads.base import Ask, Workload
from gemma4_load.workloads.lengths import MOST_TOKENS
from gemma4_load.workloads.words import Words, user

__all__ = ["BLOCK_TOKENS", "Trace", "read_trace"]

BLOCK_TOKENS = 512
"""Tokens that one entry of ``hash_ids`` stands for (Mooncake's published traces)."""
_MOST_MS = 1e13
"""Milliseconds of a timestamp: the year 2286, where they count from 1970."""
_MOST_HASH = 2**63
"""Above every hash."""
_KNOWN = {"timestamp", "input_length", "output_length", "hash_ids", "messages", "session_id"}


def _number(line: Mapping[str, Any], name: str, where: str, *, least: float, most: float) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"{where}: {name} is {value!r}; it must be a number")
    if not value >= least:  # nor nan
        raise OptionError(f"{where}: {name} is {value!r}; it must be at least {least:g}")
    if value > most:
        raise OptionError(f"{where}: {name} is {value!r}; it must be at most {most:,.0f}")
    return float(value)


def _checked(line: Any, where: str, before: float) -> dict[str, Any]:
    if not isinstance(line, dict):
        raise OptionError(f"{where}: not a JSON object")
    if unknown := sorted(set(line) - _KNOWN):
        raise OptionError(
            f"{where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}"
        )
    checked = dict(line)
    checked["timestamp"] = _number(line, "timestamp", where, least=0, most=_MOST_MS)
    if checked["timestamp"] < before:
        raise OptionError(f"{where}: timestamp {line['timestamp']} is before the line above it")
    checked["output_length"] = int(_number(line, "output_length", where, least=1, most=MOST_TOKENS))
    messages, hashes = line.get("messages"), line.get("hash_ids", [])
    if messages is None:
        checked["input_length"] = int(
            _number(line, "input_length", where, least=1, most=MOST_TOKENS)
        )
    elif not isinstance(messages, list) or not messages:
        raise OptionError(f"{where}: messages must be a list that is not empty")
    for number in hashes if isinstance(hashes, list) else [hashes]:
        whole = isinstance(number, int) and not isinstance(number, bool) and number is not hashes
        if not whole or not 0 <= number < _MOST_HASH:
            raise OptionError(
                f"{where}: hash_ids has {number!r}; it must be a list of whole numbers from 0 to "
                f"{_MOST_HASH - 1}"
            )
    return checked


def read_trace(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a JSONL trace, checked: ``timestamp`` (milliseconds, not falling),
    ``output_length``, and ``input_length`` (tokens) with optional ``hash_ids`` (one for each
    :data:`BLOCK_TOKENS` of the prompt; equal ids are equal text), or ``messages``. Raises
    :class:`OptionError` with the number of the line."""
    found: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                where = f"--trace {path}, line {number}"
                try:
                    line = json.loads(text)
                except ValueError as error:
                    raise OptionError(f"{where}: not JSON: {error}") from None
                found.append(_checked(line, where, found[-1]["timestamp"] if found else 0.0))
    except UnicodeDecodeError as error:
        raise OptionError(f"--trace {path}: not UTF-8: {error.reason}") from None
    except OSError as error:
        raise OptionError(
            f"--trace {path}: {error.strerror}; give a file of JSON lines, a request each"
        ) from None
    if not found:
        raise OptionError(f"--trace {path}: no requests in it; give a JSON object a line")
    return found


class Trace(Workload):
    """The requests of a trace, each once, at the times it has, faster by ``speed``."""

    name: ClassVar[str] = "trace"

    def __init__(self, lines: list[dict[str, Any]], words: Words, *, speed: float = 1.0) -> None:
        self._lines = lines
        self._words = words
        self._speed = speed

    def __len__(self) -> int:
        return len(self._lines)

    def asks(self, seed: int) -> Iterator[Ask]:
        """Give the requests in order; ``at`` counts from the first line. Made one by one: prompts
        are long."""
        first = self._lines[0]["timestamp"]
        for index, line in enumerate(self._lines):
            rng = np.random.default_rng([seed, index])
            tokens = line["output_length"]
            yield Ask(
                self.name,
                line.get("messages") or [user(self._prompt(line, rng))],
                {"max_tokens": tokens, "min_tokens": tokens},
                at=(line["timestamp"] - first) / 1000 / self._speed,
            )

    def _prompt(self, line: dict[str, Any], rng: np.random.Generator) -> str:
        left = line["input_length"] - self._words.overhead
        parts = []
        for block in line.get("hash_ids", ()):
            if left <= 0:
                break
            size = min(left, BLOCK_TOKENS)
            whole = self._words.text(np.random.default_rng([BLOCK_TOKENS, block]), BLOCK_TOKENS)
            words = whole.split(" ")
            parts.append(" ".join(words[: max(1, round(size / self._words.per_word))]))
            left -= size
        if left > 0 or not parts:
            parts.append(self._words.text(rng, left))
        return " ".join(parts)
