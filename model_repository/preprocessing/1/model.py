"""Preprocessing: tensors in, one validated and tokenized request out."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.server.call import parameters_of
from gemma4_runtime.server.frontdoor import FrontDoor
from gemma4_runtime.server.guard import told
from gemma4_runtime.server.model_process import start_model_process
from gemma4_runtime.settings import load_settings


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings.run_dir)
        self._door = FrontDoor(settings)

    def finalize(self) -> None:
        self._beat.close()

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        try:
            made = self._door.admit(
                {tensor.name(): tensor.as_numpy() for tensor in request.inputs()},
                request_id=request.request_id(),
                parameters=parameters_of(request.parameters()),
                now=time.time(),
            )
        except Exception as error:
            return _failure(told(error, "preprocessing"))
        data = np.frombuffer(made, np.uint8)[np.newaxis]
        return pb_utils.InferenceResponse([pb_utils.Tensor("request", data)])


def _failure(error: RequestError) -> object:
    code = getattr(pb_utils.TritonError, error.triton_code)
    return pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))
