"""What a client may say to the engine step, and the parameters of a Triton request."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol

import numpy.typing as npt

from gemma4_runtime.contract.models import FEED
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.tensors import read_inputs
from gemma4_runtime.messages import FEED_PARAMETER
from gemma4_runtime.server.parameters import TIMEOUT

__all__ = [
    "MAX_ID_BYTES",
    "TritonRequest",
    "engine_call",
    "feed_place",
    "id_of",
    "parameters_of",
    "poll_text",
    "without_feed",
]

MAX_ID_BYTES = 1024
"""Of a request id, which every log line of the request repeats."""

_ALONE = ("request", "feed")
_POLL = {FEED.name: FEED}


def engine_call(names: Collection[str]) -> Literal["request", "feed", "inputs"]:
    """Say which of the three calls of the engine step has these inputs: a sealed request of the
    ensemble, a poll of a feed, or the inputs of gemma4. Raises INVALID_ARGUMENT for a mixture."""
    for alone in _ALONE:
        if alone in names:
            others = sorted(set(names) - {alone})
            if others:
                raise invalid(
                    Code.CONFLICTING_INPUTS,
                    alone,
                    f"is a call of its own; leave out {', '.join(others)}",
                )
            return "request" if alone == "request" else "feed"
    return "inputs"


def poll_text(array: npt.NDArray[Any]) -> str:
    """Return the value of the input ``feed``, shape [1, 1]. Raises INVALID_ARGUMENT."""
    text: str = read_inputs({"feed": array}, _POLL)["feed"]
    return text


class TritonRequest(Protocol):
    """Of ``triton_python_backend_utils.InferenceRequest``. The first two raise
    :class:`UnicodeDecodeError` for a request over HTTP that is not UTF-8. ``timeout`` is Triton's
    own, in microseconds, which ``infer`` and gRPC do not leave among the parameters."""

    def request_id(self) -> str: ...

    def parameters(self) -> str: ...

    def timeout(self) -> int: ...


def parameters_of(request: TritonRequest) -> dict[str, Any]:
    """Read parameters from the JSON that Triton's Python backend makes of them. Raises
    INVALID_ARGUMENT for names and values that it cannot carry, such as bytes that are not UTF-8."""
    try:
        found = json.loads(request.parameters() or "{}")
    except (ValueError, RecursionError):
        raise invalid(
            Code.INVALID_TEXT, "parameters", "cannot be read; names and values must be UTF-8"
        ) from None
    found = found if isinstance(found, dict) else {}
    timeout = request.timeout()
    return {TIMEOUT: timeout, **found} if timeout else found


def feed_place(parameters: Mapping[str, Any]) -> str:
    """Return KEY/NUMBER of the feed that shall carry a request; "" for none. Raises
    INVALID_ARGUMENT."""
    place = parameters.get(FEED_PARAMETER, "")
    if not isinstance(place, str):
        raise invalid(Code.WRONG_TYPE, FEED_PARAMETER, f"{place!r} must be a string")
    return place


def without_feed(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``parameters`` of a call whose chunks no feed can carry. Raises INVALID_ARGUMENT when
    they ask for one."""
    if FEED_PARAMETER in parameters:
        raise invalid(
            Code.CONFLICTING_INPUTS, FEED_PARAMETER, "is a parameter of the model engine; call that"
        )
    return parameters


def id_of(request: TritonRequest) -> str:
    """Return the client's id of a request. Raises INVALID_ARGUMENT for one that is not UTF-8 or
    would flood the log."""
    try:
        request_id = request.request_id()
    except UnicodeDecodeError:
        raise invalid(Code.INVALID_TEXT, "id", "must be UTF-8") from None
    size = len(request_id.encode(errors="surrogatepass"))
    if size > MAX_ID_BYTES:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            "id",
            f"{size} bytes; a request id has at most {MAX_ID_BYTES}",
            size=size,
            limit=MAX_ID_BYTES,
        )
    return request_id
