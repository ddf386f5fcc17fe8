"""What is said to a request that may not wait, or waited for nothing."""

from __future__ import annotations

import math

from gemma4_client.errors import Code

from gemma4_gateway.errors import ApiError, overloaded

__all__ = [
    "cancelled",
    "prompt_too_long",
    "pushed_out",
    "too_many_tokens",
    "too_many_waiting",
    "wait_too_long",
    "waited_in_vain",
]


def too_many_tokens(asked: int, most: int) -> ApiError:
    """400: no back end holds so many tokens; in the words of the server's own refusal."""
    return ApiError(
        400,
        f"max_tokens: {asked} and the prompt are more than the {most} total tokens that any back "
        "end takes; ask for fewer",
        param="max_tokens",
        cause=Code.TOO_MANY_TOKENS,
    )


def prompt_too_long(tokens: int, most: int) -> ApiError:
    """400: no back end takes so long a prompt."""
    return ApiError(
        400,
        f"the prompt is too long: {tokens} tokens; the engine takes prompts of at most {most}; "
        "shorten it",
        code="context_length_exceeded",
        cause=Code.PROMPT_TOO_LONG,
    )


def too_many_waiting(what: str, wait: float | None) -> ApiError:
    """429: the tenant's own queue is full. ``wait``: seconds until one more may start, if known."""
    return overloaded(
        f"{what} of this key wait for the back ends, which is all that may; retry later",
        code="too_many_waiting",
        retry_after=_seconds(wait),
    )


def wait_too_long(wait: float, allowed: float) -> ApiError:
    """429: by the estimate it would wait in vain."""
    return overloaded(
        f"the back ends are full; it could take {wait:.0f} s, and {allowed:.3g} s are allowed; "
        "retry later, or allow more",
        code="wait_too_long",
        retry_after=_seconds(wait - allowed),
    )


def waited_in_vain(waited: float, wait: float | None) -> ApiError:
    """429: its time in the queue is over."""
    return overloaded(
        f"the back ends are full; none could take it within {waited:.3g} s; retry later",
        code="queue_timeout",
        retry_after=_seconds(wait),
    )


def pushed_out() -> ApiError:
    """429: the gateway is full, and no one has more that wait."""
    return overloaded(
        "this gateway is full, and this key has most requests that wait; retry later",
        code="gateway_full",
        retry_after=1,
    )


def cancelled() -> ApiError:
    """499: the client left."""
    return ApiError(499, "cancelled", kind="server_error", code="cancelled")


def _seconds(wait: float | None) -> int:
    return max(1, math.ceil(wait)) if wait is not None else 1
