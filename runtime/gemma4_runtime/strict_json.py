"""JSON files that somebody else wrote: every fault becomes one kind of error.

:func:`json.loads` takes the last of two equal keys and reads NaN; deep nesting is a RecursionError
and a named pipe blocks it forever. Standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["MOST_BYTES", "JsonFileError", "parse", "read_file", "read_object"]

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

MOST_BYTES = 256 << 20
"""Of a JSON file; the published tokenizer.json has 32 MB."""


class JsonFileError(ValueError):
    """The file cannot be used; the text says why, without the file's name."""


def parse(data: bytes | str) -> Any:
    """Parse JSON. Raises :class:`JsonFileError` for what is not JSON in UTF-8, for NaN, Infinity
    and lone surrogates, for a key that an object has twice, and for nesting beyond Python's
    stack."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except JsonFileError:
        raise
    except UnicodeDecodeError as error:
        raise JsonFileError(f"not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise JsonFileError(r"has a lone surrogate such as \ud800") from None
    except json.JSONDecodeError as error:
        raise JsonFileError(f"not JSON: {error}") from None
    except RecursionError:
        raise JsonFileError("its JSON is nested too deep") from None
    except ValueError as error:  # an integer of more than 4,300 digits
        raise JsonFileError(f"not JSON: {error}") from None


def read_file(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """Read a regular file. Raises :class:`OSError` for anything else (a folder, a pipe, a symbolic
    link that leads to itself, a file of more than ``most`` bytes) and never blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    os.close(descriptor)
    if stat.S_ISREG(status.st_mode):
        raise OSError(errno.EFBIG, f"{status.st_size} bytes, at most {most}", str(path))
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_object(path: Path) -> dict[str, Any]:
    """Read the JSON object in ``path``. Raises :class:`OSError` and :class:`JsonFileError`."""
    value = parse(read_file(path))
    if not isinstance(value, dict):
        raise JsonFileError("not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonFileError(f"has {key!r} twice")
            seen.add(key)
    return found


def _constant(word: str) -> NoReturn:
    raise JsonFileError(f"not JSON: {word} is no number")
