"""Last step of NVIDIA's ensemble: one chunk in, their tensors out. Notices a client that has
gone."""

from __future__ import annotations

from functools import partial

import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.output.nvidia import nvidia_tensors
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.processes.triton_calls import Sender, asked
from gemma4_runtime.server.board import Field
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.postprocessing import Postprocessing
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
STEP = "nvidia_postprocessing"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._step = Postprocessing(settings, Field.NVIDIA_CHUNKS_HANDLED)

    def finalize(self) -> None:
        self._beat.close()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        for request in requests:
            self._pass_on(request)

    def _pass_on(self, request: pb_utils.InferenceRequest) -> None:
        sender = Sender(request.get_response_sender())
        try:
            (data,) = request.inputs()
            chunk = self._step.read(data.as_numpy().tobytes())
            if chunk.check and asked(request.is_cancelled):
                self._step.cancel(chunk.key)
            if chunk.probe:
                sender.send(flags=FINAL)
            else:
                named = nvidia_tensors(chunk, request.requested_output_names())
                tensors = [pb_utils.Tensor(name, array) for name, array in named]
                sender.send(pb_utils.InferenceResponse(tensors), flags=FINAL)
            self._step.handled()
        except Exception as error:
            attempt(partial(sender.send, _failure(told(error, STEP)), flags=FINAL), STEP)


def _failure(error: RequestError) -> pb_utils.InferenceResponse:
    code = getattr(pb_utils.TritonError, error.triton_code)
    return pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))
