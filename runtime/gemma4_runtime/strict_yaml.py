"""A small YAML file that a person may have edited: every fault becomes one kind of error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gemma4_runtime.strict_json import read_file

__all__ = ["YamlFileError", "read_mapping"]

_MOST_BYTES = 1 << 20
"""Bytes of a file; a longer one is refused."""


class YamlFileError(ValueError):
    """The file cannot be used; the text says why, without the file's name."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Without aliases, by which a few lines can stand for gigabytes, and without equal keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise YamlFileError(f"has an alias (*) in line {line}; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise YamlFileError(f"has a key twice below line {node.start_mark.line + 1}")
        return found


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the mapping in ``path``, in UTF-8. Raises :class:`OSError` and
    :class:`YamlFileError`."""
    try:
        data = yaml.load(read_file(path, most=_MOST_BYTES).decode("utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise YamlFileError(f"is not UTF-8 at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise YamlFileError(f"is not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise YamlFileError("is nested too deep") from None
    except YamlFileError:
        raise
    except ValueError as error:  # such as a date or an integer that Python does not take
        raise YamlFileError(f"has a bad value ({error})") from None
    return _checked(data)


def _checked(data: Any) -> dict[str, Any]:
    if data is None:
        raise YamlFileError("is empty; it must have names with values")
    if not isinstance(data, dict):
        kind = "list" if isinstance(data, list) else "single value"
        raise YamlFileError(f"is a {kind}; it must be a mapping, of names to values")
    for key in data:
        if not isinstance(key, str):
            raise YamlFileError(f"has the name {key!r}, which is no text; put it in quotes")
    return data
