"""Engine step: requests in, chunks out. All logic is in gemma4_runtime.server.engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import Chunk, encode
from gemma4_runtime.metrics.publisher import Publisher
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.processes.triton_calls import Sender
from gemma4_runtime.server.call import engine_call, id_of, parameters_of, poll_text
from gemma4_runtime.server.direct_calls import DirectCalls
from gemma4_runtime.server.engine import EngineStep
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.seal import Kind, Sealer
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
STEP = "engine"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._step = EngineStep(settings)
        self._direct = DirectCalls(settings, self._step)
        self._metrics = Publisher(
            self._step.metrics.store, pb_utils.MetricFamily, refresh=self._step.refresh_metrics
        )

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> None:
        for request in requests:
            sender = Sender(request.get_response_sender())
            client = ToClient(sender)
            transport: Transport = client
            try:
                inputs = {tensor.name(): tensor for tensor in request.inputs()}
                call = engine_call(inputs)
                if call == "feed":
                    self._step.poll(poll_text(inputs["feed"].as_numpy()), client)
                elif call == "request":
                    transport = ToEnsemble(sender, self._step.sealer)
                    self._step.submit(inputs["request"].as_numpy().tobytes(), transport)
                else:
                    self._direct.open(
                        {name: tensor.as_numpy() for name, tensor in inputs.items()},
                        client,
                        request_id=id_of(request),
                        parameters=parameters_of(request),
                    )
            except Exception as error:
                attempt(partial(transport.fail, told(error, STEP)), STEP)

    def finalize(self) -> None:
        self._metrics.close()
        self._direct.close()
        self._step.close()
        self._beat.close()


class Transport(ABC):
    """gemma4_runtime.server.streams.stream.Transport over a Triton response sender."""

    direct: bool
    output: str
    """Name of the output tensor."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @abstractmethod
    def encode(self, chunk: Chunk) -> bytes: ...

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

    def __init__(self, sender: Sender, sealer: Sealer) -> None:
        super().__init__(sender)
        self._sealer = sealer

    def encode(self, chunk: Chunk) -> bytes:
        return self._sealer.seal(Kind.CHUNK, encode(chunk))


class ToClient(Transport):
    """For a client that called the engine itself; also a ``Poll`` of a feed."""

    direct, output = True, "packed"

    def answer(self, data: bytes, *, final: bool) -> None:
        self._send(data, final=final)

    def encode(self, chunk: Chunk) -> bytes:
        return pack(render(chunk))
