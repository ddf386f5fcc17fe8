"""What a plan refuses. Every message names the option or field, the value and the way out."""

from __future__ import annotations

from gemma4_runtime.one_line import one_line
from gemma4_runtime.picklable import PicklableError

__all__ = ["BadCatalogError", "BadQuestionError", "PlanError"]


class PlanError(PicklableError):
    """No plan can be made; the text is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class BadQuestionError(PlanError):
    """An option has a value that cannot be planned for."""


class BadCatalogError(PlanError):
    """The catalog of GPUs cannot be used."""
