"""The preprocessing step: it owns the preparation process, and seals what comes from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy.typing as npt

from gemma4_runtime.errors import RequestError
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_runtime.metrics.store import Store
from gemma4_runtime.preparation.client import PreparationClient, Result
from gemma4_runtime.preparation.owner import PreparationOwner
from gemma4_runtime.server.admission import Admission
from gemma4_runtime.server.board import BOARD_NAME
from gemma4_runtime.server.engine_metrics import FAILURES, count_failure
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.seal import Kind
from gemma4_runtime.settings import Settings

__all__ = ["Preprocessing", "Way"]

STEP = "preprocessing"


class Way(Protocol):
    """How one request is answered, once. Used by one thread at a time."""

    def give(self, data: bytes) -> None: ...

    def fail(self, error: RequestError) -> None: ...

    def client_gone(self) -> bool: ...


class Preprocessing:
    """Ready when the constructor returns. Raises :class:`RuntimeError` with the cause when the
    preparation process does not start."""

    def __init__(self, settings: Settings) -> None:
        self._owner = PreparationOwner()
        self._client = PreparationClient(settings.run_dir, on_hang=self._owner.kill)
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
        """Answer by ``way``, now or from another thread. Never raises."""
        try:
            self._admission.admit(
                tensors(),
                request_id=request_id(),
                parameters=parameters(),
                now=time.monotonic(),
                done=partial(self._answer, way),
                gone=way.client_gone,
            )
        except Exception as error:  # noqa: BLE001 - every request gets one answer
            self._refuse(way, error)

    def _answer(self, way: Way, result: Result) -> None:
        """Answer, in the client's thread."""
        try:
            if isinstance(result, RequestError):
                raise result
            sealed = self._live.get().sealer.seal(Kind.REQUEST, result)
        except Exception as error:  # noqa: BLE001 - as in admit
            self._refuse(way, error)
            return
        attempt(partial(way.give, sealed), STEP)

    def _refuse(self, way: Way, error: Exception) -> None:
        refusal = told(error, STEP)
        count_failure(self.metrics, refusal, STEP)
        attempt(partial(way.fail, refusal), STEP)

    def close(self) -> None:
        """End the preparation process."""
        self._client.close()
        self._owner.close()
