"""Classes made from the recorded API."""

from __future__ import annotations

import copy
from typing import Any

from gemma4_runtime.trtllm.api import ApiError, check_arguments, load_api


class Recorded:
    """Keyword arguments only, checked against the record of the class's own name. An unknown or
    mistyped argument is a ValueError, as pydantic's ValidationError is one."""

    def __init__(self, **values: Any) -> None:
        name = type(self).__name__
        try:
            check_arguments(name, values)
        except ApiError as error:
            raise ValueError(str(error)) from None
        record = load_api()[name]
        named = {record.aliases.get(key, key): value for key, value in values.items()}
        self.__dict__.update(copy.deepcopy(record.defaults()) | named)


def as_dict(value: Any) -> Any:
    """A configuration, nested or not, as plain mappings."""
    if isinstance(value, Recorded):
        return {key: as_dict(inner) for key, inner in vars(value).items()}
    if isinstance(value, dict):
        return {key: as_dict(inner) for key, inner in value.items()}
    return value


def config_class(name: str) -> type[Recorded]:
    """A configuration class of the record ``name``."""
    return type(name, (Recorded,), {"__doc__": f"Recorded {name}."})
