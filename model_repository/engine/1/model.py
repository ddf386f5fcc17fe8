"""Engine step: requests in, chunks out. All logic is in gemma4_runtime.server.engine_step."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError, internal, parse_wire
from gemma4_runtime.messages import KEY_PARAMETER, Chunk, encode
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.server.engine_step import EngineStep
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._step = EngineStep(load_settings())

    def execute(self, requests: list) -> None:
        for request in requests:
            data = pb_utils.get_input_tensor_by_name(request, "request")
            kind = ToClient if data is None else ToEnsemble
            transport = kind(request.get_response_sender())
            try:
                prepared = _prepared(request) if data is None else data
                self._step.submit(prepared.as_numpy().tobytes(), transport)
            except RequestError as error:
                transport.fail(error)
            except Exception as error:
                transport.fail(internal(f"engine step: {error}"))

    def finalize(self) -> None:
        self._step.close()


def _prepared(request: object) -> object:
    """What preprocessing makes of the inputs of a direct call."""
    call = pb_utils.InferenceRequest(
        model_name="preprocessing",
        inputs=request.inputs(),
        requested_output_names=["request"],
        request_id=request.request_id(),
        parameters={KEY_PARAMETER: json.loads(request.parameters() or "{}").get(KEY_PARAMETER, "")},
    )
    response = call.exec()
    if response.has_error():
        raise parse_wire(response.error().message())
    return pb_utils.get_output_tensor_by_name(response, "request")


class Transport:
    """gemma4_runtime.server.stream.Transport over a Triton response sender."""

    def __init__(self, sender: object) -> None:
        self._sender = sender

    def send(self, chunk: Chunk, *, final: bool) -> None:
        data = np.frombuffer(self.encode(chunk), np.uint8)[np.newaxis]
        response = pb_utils.InferenceResponse([pb_utils.Tensor(self.output, data)])
        self._sender.send(response, flags=FINAL if final else 0)

    def fail(self, error: RequestError) -> None:
        triton_error = pb_utils.TritonError(
            error.to_wire(), getattr(pb_utils.TritonError, error.triton_code)
        )
        self._sender.send(pb_utils.InferenceResponse([], triton_error), flags=FINAL)

    def client_gone(self) -> bool:
        return self._sender.is_cancelled()


class ToEnsemble(Transport):
    """For postprocessing, the next step of the ensemble."""

    direct, output = False, "chunk"

    @staticmethod
    def encode(chunk: Chunk) -> bytes:
        return encode(chunk)


class ToClient(Transport):
    """For a client that called the engine itself."""

    direct, output = True, "packed"

    @staticmethod
    def encode(chunk: Chunk) -> bytes:
        return pack(render(chunk))
