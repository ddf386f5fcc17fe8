"""Client of the ``gemma4`` ensemble over gRPC."""

from gemma4_client.aio import AsyncClient, AsyncStream
from gemma4_client.client import Client, Stream
from gemma4_client.errors import (
    CancelledError,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client.results import Answer, Delta, Usage

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "CancelledError",
    "Client",
    "DeadlineExceededError",
    "Delta",
    "Gemma4Error",
    "InvalidRequestError",
    "ServerError",
    "Stream",
    "StreamOrderError",
    "UnavailableError",
    "Usage",
]
