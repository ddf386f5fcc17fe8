"""The first step of NVIDIA's ``ensemble``: their inputs to sealed requests, one for each answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy.typing as npt

from gemma4_runtime.contract.nvidia_models import INPUT_NAMES
from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.nvidia import Part, nvidia_parts
from gemma4_runtime.messages import decode_request, encode
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_runtime.metrics.store import Store
from gemma4_runtime.preparation.client import PreparationClient, Result
from gemma4_runtime.server.admission import Admission
from gemma4_runtime.server.board import BOARD_NAME
from gemma4_runtime.server.engine_metrics import FAILURES, count_failure
from gemma4_runtime.server.gather import Gather
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.parameters import with_timeout
from gemma4_runtime.server.request_key import keys_of_call, refuse_key
from gemma4_runtime.server.seal import Kind
from gemma4_runtime.settings import Settings
from gemma4_runtime.trace_context import read_trace

__all__ = ["NvidiaPreprocessing", "Way"]

STEP = "nvidia_preprocessing"
_FIRST = (0, 0)


class Way(Protocol):
    """How one call is answered. Used by one thread at a time."""

    def give(self, data: bytes, *, final: bool) -> None: ...

    def fail(self, error: RequestError) -> None: ...

    def client_gone(self) -> bool: ...


class NvidiaPreprocessing:
    """Asks the preparation process of the model ``preprocessing``."""

    def __init__(self, settings: Settings) -> None:
        self._client = PreparationClient(settings.run_dir)
        self._admission = Admission(settings.run_dir, self._client)
        self._live = LiveBoard(settings.run_dir / BOARD_NAME)
        self.metrics = Store(family for family in FAMILIES if family.name == FAILURES)

    def admit(
        self,
        tensors: Callable[[], Mapping[str, npt.NDArray[Any]]],
        way: Way,
        *,
        request_id: Callable[[], str],
        parameters: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Answer by ``way``, now or from another thread: all the requests, or one error. Never
        raises."""
        try:
            self._admit(tensors(), way, request_id=request_id(), parameters=parameters())
        except Exception as error:  # noqa: BLE001 - every call gets one answer
            self._refuse(way, error)

    def _admit(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        way: Way,
        *,
        request_id: str,
        parameters: Mapping[str, Any],
    ) -> None:
        refuse_key(parameters)
        timeout = self._admission.check(parameters, INPUT_NAMES)
        parts = nvidia_parts(tensors)
        if len(parts) > 1:
            self._admission.check(parameters, INPUT_NAMES, count=len(parts))
        now = time.monotonic()
        gather = Gather(len(parts), partial(self._answer, way, parts))
        keys, trace = keys_of_call(len(parts)), read_trace(parameters)
        for number, (part, key) in enumerate(zip(parts, keys, strict=True)):
            try:
                self._admission.ask(
                    with_timeout(part.values, timeout),
                    request_id=request_id,
                    key=key,
                    now=now,
                    done=partial(gather.take, number),
                    gone=way.client_gone,
                    trace=trace,
                )
            except RequestError as error:
                gather.cut(number, error)
                return

    def _answer(self, way: Way, parts: list[Part], results: list[Result]) -> None:
        """Answer, in the client's thread."""
        try:
            sealed = [
                self._sealed(part, result) for part, result in zip(parts, results, strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - as in admit
            self._refuse(way, error)
            return
        for number, data in enumerate(sealed, 1):
            attempt(partial(way.give, data, final=number == len(sealed)), STEP)

    def _sealed(self, part: Part, result: Result) -> bytes:
        if isinstance(result, RequestError):
            raise result
        if part.place != _FIRST:
            request = msgspec.structs.replace(decode_request(result), place=part.place)
            result = encode(request)
        return self._live.get().sealer.seal(Kind.REQUEST, result)

    def _refuse(self, way: Way, error: Exception) -> None:
        refusal = told(error, STEP)
        count_failure(self.metrics, refusal, STEP)
        attempt(partial(way.fail, refusal), STEP)

    def close(self) -> None:
        """Close: what is still prepared gets UNAVAILABLE."""
        self._client.close()
