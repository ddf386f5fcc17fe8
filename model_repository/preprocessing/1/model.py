"""Preprocessing: tensors in, one validated and tokenized request out."""

from __future__ import annotations

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.metrics.publisher import Publisher
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.processes.triton_calls import Sender
from gemma4_runtime.server.call import id_of, parameters_of, without_feed
from gemma4_runtime.server.preprocessing import Preprocessing
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._step = Preprocessing(settings)
        self._metrics = Publisher(self._step.metrics, pb_utils.MetricFamily)

    def finalize(self) -> None:
        self._metrics.close()
        self._step.close()
        self._beat.close()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[None]:
        for request in requests:
            self._admit(request)
        return [None] * len(requests)  # they are answered later, by their senders

    def _admit(self, request: pb_utils.InferenceRequest) -> None:
        self._step.admit(
            lambda: {tensor.name(): tensor.as_numpy() for tensor in request.inputs()},
            Way(Sender(request.get_response_sender())),
            request_id=lambda: id_of(request),
            parameters=lambda: without_feed(parameters_of(request)),
        )


class Way:
    """gemma4_runtime.server.preprocessing.Way over a Triton response sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def give(self, data: bytes) -> None:
        tensor = pb_utils.Tensor("request", np.frombuffer(data, np.uint8)[np.newaxis])
        self._sender.send(pb_utils.InferenceResponse([tensor]), flags=FINAL)

    def fail(self, error: RequestError) -> None:
        code = getattr(pb_utils.TritonError, error.triton_code)
        response = pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))
        self._sender.send(response, flags=FINAL)

    def client_gone(self) -> bool:
        return self._sender.is_cancelled()
