"""The error of a request that is not served as it is."""

from __future__ import annotations

from gemma4_runtime.picklable import PicklableError

__all__ = ["RefusedError"]


class RefusedError(PicklableError, ValueError):
    """``field`` is the name of the option in Dynamo's request."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
