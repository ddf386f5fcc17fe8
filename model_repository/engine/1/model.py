"""Engine step: requests in, chunks out. All logic is in gemma4_runtime.server.engine_step."""

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError, internal
from gemma4_runtime.server.engine_step import EngineStep
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._step = EngineStep(load_settings())

    def execute(self, requests: list) -> None:
        for request in requests:
            transport = Transport(request.get_response_sender())
            try:
                data = pb_utils.get_input_tensor_by_name(request, "request").as_numpy()
                self._step.submit(data.tobytes(), transport)
            except Exception as error:
                transport.fail(internal(f"engine step: {error}"))

    def finalize(self) -> None:
        self._step.close()


class Transport:
    """gemma4_runtime.server.stream.Transport over a Triton response sender."""

    def __init__(self, sender: object) -> None:
        self._sender = sender

    def send(self, chunk: bytes, *, final: bool) -> None:
        tensor = pb_utils.Tensor("chunk", np.frombuffer(chunk, np.uint8)[np.newaxis])
        self._sender.send(pb_utils.InferenceResponse([tensor]), flags=FINAL if final else 0)

    def fail(self, error: RequestError) -> None:
        triton_error = pb_utils.TritonError(
            error.to_wire(), getattr(pb_utils.TritonError, error.triton_code)
        )
        self._sender.send(pb_utils.InferenceResponse([], triton_error), flags=FINAL)
