"""What to tell a person when the server cannot answer."""

from __future__ import annotations

from gemma4_client import Gemma4Error, InvalidRequestError
from gemma4_client.errors import ClientCode

__all__ = ["exit_code", "explain"]


def explain(error: Gemma4Error, url: str) -> str:
    """Return the message, and what to do where no server was found."""
    message = str(error)
    if error.code == ClientCode.CONNECTION_FAILED:
        return f"no server at {url}; start one with `gemma4 serve`, or give its --url ({message})"
    return message


def exit_code(error: Gemma4Error) -> int:
    """Return 2 for a request that is wrong, 1 for everything else."""
    return 2 if isinstance(error, InvalidRequestError) else 1
