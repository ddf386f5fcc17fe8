"""Postprocessing: one chunk in, its text out. Notices a client that has gone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.output.render import ChunkText, render
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.server.board import Field
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.postprocessing import Postprocessing
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
STEP = "postprocessing"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._step = Postprocessing(settings, Field.CHUNKS_HANDLED)

    def finalize(self) -> None:
        self._beat.close()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        for request in requests:
            self._pass_on(request)

    def _pass_on(self, request: pb_utils.InferenceRequest) -> None:
        sender = request.get_response_sender()
        try:
            (data,) = request.inputs()
            chunk = self._step.read(data.as_numpy().tobytes())
            if chunk.check and request.is_cancelled():
                self._step.cancel(chunk.key)
            if chunk.probe:
                sender.send(flags=FINAL)
            else:
                sender.send(_response(render(chunk)), flags=FINAL)
            self._step.handled()
        except Exception as error:
            attempt(partial(sender.send, _failure(told(error, STEP)), flags=FINAL), STEP)


def _failure(error: RequestError) -> pb_utils.InferenceResponse:
    code = getattr(pb_utils.TritonError, error.triton_code)
    return pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))


def _text(name: str, value: str) -> pb_utils.Tensor:
    return pb_utils.Tensor(name, np.array([[value.encode()]], dtype=np.object_))


def _array(name: str, values: Sequence[float], dtype: npt.DTypeLike) -> pb_utils.Tensor:
    return pb_utils.Tensor(name, np.array([values], dtype=dtype))


def _response(chunk: ChunkText) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse(
        [
            _text("text_output", chunk.text_output),
            _text("reasoning_output", chunk.reasoning_output),
            _text("tool_calls", chunk.tool_calls),
            _text("finish_reason", chunk.finish_reason),
            _text("timings", chunk.timings),
            _array("chunk_index", [chunk.chunk_index], np.int32),
            _array("prompt_tokens", [chunk.prompt_tokens], np.int32),
            _array("completion_tokens", [chunk.completion_tokens], np.int32),
            _array("output_ids", chunk.output_ids, np.int32),
            _array("output_log_probs", chunk.output_log_probs, np.float32),
            _array("cum_log_probs", [chunk.cum_log_probs], np.float32),
        ]
    )
