"""Client of the ``gemma4`` model of a Triton server: gRPC or HTTP, blocking or asyncio."""

from gemma4_client._async.client import AsyncClient
from gemma4_client._async.stream import AsyncStream
from gemma4_client._sync.client import Client
from gemma4_client._sync.stream import Stream
from gemma4_client.breaker import CircuitBreaker
from gemma4_client.cache import Cache
from gemma4_client.errors import (
    AccessDeniedError,
    CancelledError,
    CircuitOpenError,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    ResponseFormatError,
    ServerError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client.options import Options
from gemma4_client.results import Answer, Delta, Usage
from gemma4_client.retry import RetryPolicy
from gemma4_client.tls import TLS
from gemma4_client.tokenizer import ServerInfo, Tokens

__all__ = [
    "TLS",
    "AccessDeniedError",
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "Cache",
    "CancelledError",
    "CircuitBreaker",
    "CircuitOpenError",
    "Client",
    "DeadlineExceededError",
    "Delta",
    "Gemma4Error",
    "InvalidRequestError",
    "Options",
    "ResponseFormatError",
    "RetryPolicy",
    "ServerError",
    "ServerInfo",
    "Stream",
    "StreamOrderError",
    "Tokens",
    "UnavailableError",
    "Usage",
]
