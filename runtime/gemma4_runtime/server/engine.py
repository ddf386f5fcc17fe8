"""What the engine step does: load the engine, take requests, obey the control socket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event, Lock

from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.engines.factory import create_engine
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.logs.events import flush_events, log_event
from gemma4_runtime.logs.standard import take_logging
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import (
    FEED_PARAMETER,
    GenerationRequest,
    SamplingParams,
    TopLogProbs,
    decode_request,
)
from gemma4_runtime.model_name import model_name
from gemma4_runtime.output.vocab import load_token_table
from gemma4_runtime.preparation.client import PreparationClient
from gemma4_runtime.server.access_log import log_request
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.control import CONTROL_NAME, ControlServer
from gemma4_runtime.server.engine_loss import LossWatch
from gemma4_runtime.server.engine_metrics import EngineMetrics
from gemma4_runtime.server.engine_spans import EngineSpans
from gemma4_runtime.server.gate.opening import open_gate
from gemma4_runtime.server.request_check import RequestCheck
from gemma4_runtime.server.seal import Kind, Sealer
from gemma4_runtime.server.streams.emitters import Emitters
from gemma4_runtime.server.streams.feed import Poll, parse_place
from gemma4_runtime.server.streams.guide_judge import GuideJudge
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_runtime.server.streams.stream import Transport
from gemma4_runtime.settings import Settings
from gemma4_runtime.tracing.pipeline import open_pipeline
from gemma4_runtime.version import project_version

__all__ = ["EngineStep"]

_SERVICE = "gemma4-triton"
"""Name of this service in traces, where the environment gives none."""
_WARM_UP_S = 300.0
"""Seconds that an engine has to answer its first request."""


class EngineStep:
    """Ready when the constructor returns: the engine has then answered a request. Raises what
    loading raises (:class:`~gemma4_runtime.manifest.EngineFolderError`, ...)."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.engine_dir
        manifest = read_manifest(folder)
        table = load_token_table(folder / "tokenizer.json")
        self._engine = create_engine(folder, manifest, table, settings)
        _warm_up(self._engine, manifest.model.bos_id, manifest.model.eos_ids)
        self._board = Board(settings.run_dir / BOARD_NAME, create=True)
        self._board[Field.SLOTS] = self._engine.info.slots
        self._board[Field.MAX_QUEUED] = self._engine.info.max_queued
        self._board[Field.ENGINE_PID] = os.getpid()
        self._releasing = Lock()
        self.sealer = Sealer(self._board.key)
        self._check = RequestCheck(self._engine.info)
        self._checks = PreparationClient(settings.run_dir)
        self.metrics = EngineMetrics(
            self._engine.info,
            version=project_version(),
            model_name=model_name(manifest.source.name),
            restarts=settings.restarts,
        )
        self._pipeline = open_pipeline(_SERVICE, log=log_event)
        self._spans: EngineSpans | None = None
        if self._pipeline is not None:
            take_logging()  # the exporter's warnings
            self._spans = EngineSpans(self._pipeline, model_name(manifest.source.name))
        self._emitters = Emitters(
            self._engine,
            table,
            self._board,
            on_end=self._ended,
            on_tokens=self.metrics.tokens,
            judge=GuideJudge(self._checks),
        )
        self._loss = LossWatch(self._engine, self._board, abort=self._emitters.abort_all)
        self._gate = open_gate(
            settings, manifest, self._engine, self._board, self.metrics.quality_gate
        )
        self._control = ControlServer(settings.run_dir / CONTROL_NAME, self._command)
        info = self._engine.info
        log_event("engine_ready", runtime=info.runtime, version=info.version, slots=info.slots)

    def submit(self, data: bytes, transport: Transport) -> None:
        """Start one request as preprocessing sealed it. Raises
        :class:`~gemma4_runtime.errors.RequestError` for one that it did not make."""
        self.start(self.sealer.unseal(Kind.REQUEST, data), transport)

    def start(self, data: bytes | memoryview, transport: Transport, place: str = "") -> None:
        """Start one request as this server prepared it; ``place`` is KEY/NUMBER of a feed. Raises
        :class:`~gemma4_runtime.errors.RequestError`."""
        request = decode_request(data)
        self._check.check(request)
        named = parse_place(place, field=FEED_PARAMETER) if place else None
        self._emitters.open(request, transport, named)
        if self._gate is not None:
            self._gate.give_way()

    def poll(self, feed: str, poll: Poll) -> None:
        """Answer ``poll`` with what comes into ``feed``: its key, a slash, and how many responses
        the poll takes. Raises :class:`~gemma4_runtime.errors.RequestError`."""
        asked = parse_place(feed, field="feed")
        self._emitters.poll(asked.feed, poll, asked.number)

    def refresh_metrics(self) -> None:
        """Take over the engine's state into :attr:`metrics`."""
        self.metrics.state(self._engine.stats())
        if self._pipeline is not None:
            self.metrics.spans(self._pipeline.counts)

    def _ended(self, record: RequestRecord, request: GenerationRequest) -> None:
        trace_id, span_id = request.trace.trace_id if request.trace else "", ""
        if self._spans is not None:
            trace_id, span_id = self._spans.ended(record, request)
        log_request(record, trace_id=trace_id, span_id=span_id)
        self.metrics.ended(record)

    def close(self) -> None:
        """Close in order; open streams are failed as UNAVAILABLE."""
        self._control.close()
        self._release()
        if self._spans is not None and self._pipeline is not None:
            self._spans.close()
            self._pipeline.close()
        self._checks.close()
        self._board.close()

    def _release(self) -> None:
        """End the engine, which frees its GPUs. Again: nothing."""
        with self._releasing:
            if self._board[Field.RELEASED]:
                return
            if self._gate is not None:
                self._gate.close()
            self._loss.close()
            self._engine.drain()
            self._emitters.close()
            self._engine.close()
            flush_events()  # whoever sees the next word may kill this process
            self._board[Field.RELEASED] = 1

    def _command(self, verb: str, argument: str) -> None:
        if verb == "cancel":
            self._emitters.cancel(argument)
        elif verb == "drain":
            self._drain()
            self._board[Field.DRAINING] = 1
        elif verb == "hold":
            self._emitters.hold()
        elif verb == "resume":
            self._emitters.resume()
        elif verb == "abort":
            self._drain()
            self._emitters.abort_all(
                RequestError(Code.SERVER_STOPPED, "the server stopped before the answer was whole")
            )
        elif verb == "release":
            self._release()
        else:
            log_event("unknown_command", level="warning", verb=verb)

    def _drain(self) -> None:
        if self._gate is not None:
            self._gate.stop()
        self._engine.drain()
        self._emitters.drain()


class _WarmUp:
    """Sink of the first request."""

    def __init__(self) -> None:
        self.ended = Event()
        self.error: RequestError | None = None

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        pass

    def finished(self, finish: EngineFinish) -> None:
        self.ended.set()

    def failed(self, error: RequestError) -> None:
        self.error = error
        self.ended.set()


def _warm_up(engine: Engine, bos_id: int, eos_ids: list[int]) -> None:
    sink = _WarmUp()
    sampling = SamplingParams(max_tokens=1, temperature=0.0, stop_token_ids=tuple(eos_ids))
    engine.submit(GenerationRequest(key="warm-up", input_ids=[bos_id], sampling=sampling), sink)
    if not sink.ended.wait(_WARM_UP_S):
        raise RuntimeError(f"the engine did not answer a first request within {_WARM_UP_S:.0f} s")
    if sink.error is not None:
        raise RuntimeError(f"the engine failed its first request: {sink.error.message}")
