"""Calls of the engine step by clients themselves, with the inputs of ``gemma4``.

The step's own thread must not wait for the preparation of one of them, which would hold up all
others; so it goes on when the preparation process answers, in the thread that hears of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.probe import PROBE_REQUEST_ID
from gemma4_runtime.errors import RequestError
from gemma4_runtime.preparation.client import PreparationClient, Result
from gemma4_runtime.server.admission import Admission
from gemma4_runtime.server.call import feed_place
from gemma4_runtime.server.engine import EngineStep
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.request_key import refuse_key
from gemma4_runtime.server.streams.stream import Transport
from gemma4_runtime.settings import Settings

__all__ = ["DirectCalls"]

STEP = "engine"


class DirectCalls:
    """Thread-safe. ``transport`` of a call is used by one thread at a time: the caller's until
    :meth:`open` returns, then the preparation client's, then the emitter's."""

    def __init__(self, settings: Settings, step: EngineStep) -> None:
        self._step = step
        self._client = PreparationClient(settings.run_dir)
        self._admission = Admission(settings.run_dir, self._client)

    def open(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        transport: Transport,
        *,
        request_id: str,
        parameters: Mapping[str, Any],
    ) -> None:
        """Open a request. Raises :class:`~gemma4_runtime.errors.RequestError` for what can be
        refused at once."""
        try:
            place = feed_place(parameters)
            refuse_key(parameters)
            self._admission.admit(
                tensors,
                request_id=request_id,
                parameters=parameters,
                now=time.monotonic(),
                done=partial(self._start, transport, place, request_id),
                gone=transport.client_gone,
            )
        except RequestError as error:
            self._count(request_id, error)
            raise

    def _start(self, transport: Transport, place: str, request_id: str, result: Result) -> None:
        try:
            if isinstance(result, RequestError):
                raise result
            self._step.start(result, transport, place)
        except Exception as error:  # noqa: BLE001 - every call gets one answer
            refusal = told(error, STEP)
            self._count(request_id, refusal)
            attempt(partial(transport.fail, refusal), STEP)

    def _count(self, request_id: str, refusal: RequestError) -> None:
        """Count a refusal to a user."""
        if request_id != PROBE_REQUEST_ID:
            self._step.metrics.refused(refusal)

    def close(self) -> None:
        """Close: what is still prepared gets UNAVAILABLE."""
        self._client.close()
