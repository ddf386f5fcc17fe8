"""The codes of errors that the client itself makes. The server's are
:class:`gemma4_runtime.error_codes.Code`."""

from __future__ import annotations

from gemma4_runtime.enums import StrEnum
from gemma4_runtime.errors import UNKNOWN_CODE

__all__ = ["ClientCode"]


class ClientCode(StrEnum):
    """What went wrong on this side, on the way, or in what stands between. ``help`` says what it
    means. Such an error never comes from the models of the server."""

    help: str

    def __new__(cls, value: str, help: str) -> ClientCode:
        member = str.__new__(cls, value)
        member._value_ = value
        member.help = help
        return member

    # fmt: off
    UNKNOWN = (
        UNKNOWN_CODE,
        "The error came without a code, from an older server or from what stands before it.",
    )
    CONNECTION_FAILED = (
        "connection_failed",
        "There was no connection to the server, so the request was not sent.",
    )
    CONNECTION_LOST = (
        "connection_lost",
        "The connection broke after the request was sent. The server may have begun it.",
    )
    SERVER_NOT_READY = (
        "server_not_ready",
        "Triton has no such model, or the model is not ready, stops, or takes no more requests.",
    )
    PROCESS_LOST = (
        "process_lost",
        "A process of the server has died or hangs. It may be this request that it died of.",
    )
    RATE_LIMITED = (
        "rate_limited",
        "What stands before the server takes no more requests now.",
    )
    ACCESS_DENIED = (
        "access_denied",
        "What stands before the server wants other headers or another certificate.",
    )
    MESSAGE_TOO_LARGE = (
        "message_too_large",
        "The request or its answer is larger than what the connection takes.",
    )
    CIRCUIT_OPEN = (
        "circuit_open",
        "This client asked nothing, because the server was unavailable too often just now.",
    )
    STREAM_BROKEN = (
        "stream_broken",
        "A chunk is missing, doubled or out of order, or the last never came.",
    )
    UNREADABLE_ANSWER = (
        "unreadable_answer",
        "The server's answer is not of a form that this version of the client reads.",
    )
    RESPONSE_FORMAT = (
        "response_format",
        "The answer is whole but is not what `response_model` asks for.",
    )
    # fmt: on
