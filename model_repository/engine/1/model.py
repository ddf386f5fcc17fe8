"""Engine step: requests in, chunks out. All logic is in gemma4_runtime.server.engine_step."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError, internal, parse_wire
from gemma4_runtime.messages import FEED_PARAMETER, KEY_PARAMETER, Chunk, encode
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.server.engine_step import EngineStep
from gemma4_runtime.server.model_process import start_model_process
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._step = EngineStep(settings)

    def execute(self, requests: list) -> None:
        for request in requests:
            inputs = {tensor.name(): tensor for tensor in request.inputs()}
            kind = ToEnsemble if "request" in inputs else ToClient
            transport = kind(request.get_response_sender())
            try:
                if "feed" in inputs:
                    self._step.poll(inputs["feed"].as_numpy().flat[0].decode(), transport)
                elif "request" in inputs:
                    self._step.submit(inputs["request"].as_numpy().tobytes(), transport)
                else:
                    parameters = json.loads(request.parameters() or "{}")
                    prepared = _prepared(request, parameters.get(KEY_PARAMETER, ""))
                    place = str(parameters.get(FEED_PARAMETER, ""))
                    self._step.submit(prepared.as_numpy().tobytes(), transport, place)
            except RequestError as error:
                transport.fail(error)
            except Exception as error:
                transport.fail(internal(f"engine step: {error}"))

    def finalize(self) -> None:
        self._step.close()
        self._beat.close()


def _prepared(request: object, key: str) -> object:
    """What preprocessing makes of the inputs of a direct call."""
    call = pb_utils.InferenceRequest(
        model_name="preprocessing",
        inputs=request.inputs(),
        requested_output_names=["request"],
        request_id=request.request_id(),
        parameters={KEY_PARAMETER: key},
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
        self._send(self.encode(chunk), final=final)

    def end(self) -> None:
        self._sender.send(flags=FINAL)

    def _send(self, data: bytes, *, final: bool) -> None:
        tensor = pb_utils.Tensor(self.output, np.frombuffer(data, np.uint8)[np.newaxis])
        response = pb_utils.InferenceResponse([tensor])
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
    """For a client that called the engine itself; gemma4_runtime.server.feed.Poll as well."""

    direct, output = True, "packed"

    def answer(self, data: bytes, *, final: bool) -> None:
        self._send(data, final=final)

    @staticmethod
    def encode(chunk: Chunk) -> bytes:
        return pack(render(chunk))
