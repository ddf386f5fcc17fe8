"""What to tell a person when the server cannot answer."""

from __future__ import annotations

from gemma4_client import Gemma4Error, InvalidRequestError
from gemma4_client.errors import ClientCode
from gemma4_client.wrong_port import CHAT, wrong_port

__all__ = ["exit_code", "explain"]


def explain(error: Gemma4Error, url: str) -> str:
    """Return the message. Where it did not come from the models of a server, the address may be a
    wrong one: then what listens there, and what to do."""
    message = str(error)
    if error.code not in {code.value for code in ClientCode}:
        return message
    advice = wrong_port(url, CHAT)
    return message if advice is None else f"{advice} ({message})"


def exit_code(error: Gemma4Error) -> int:
    """Return 2 for a request that is wrong, 1 for everything else."""
    return 2 if isinstance(error, InvalidRequestError) else 1
