"""One whole answer of gemma4 per call, for clients that cannot stream."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.messages import KEY_PARAMETER
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.processes.triton_calls import Sender, asked
from gemma4_runtime.server.board import BOARD_NAME
from gemma4_runtime.server.call import id_of, parameters_of, without_feed
from gemma4_runtime.server.control import CONTROL_NAME, ControlClient
from gemma4_runtime.server.gemma4_unary import ClientWatch
from gemma4_runtime.server.guard import relayed, told
from gemma4_runtime.server.live_board import LiveBoard
from gemma4_runtime.server.parameters import TIMEOUT, check_parameters
from gemma4_runtime.server.request_key import new_key, sealed_key
from gemma4_runtime.settings import load_settings
from gemma4_runtime.trace_context import read_trace, trace_fields

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._outputs = [output["name"] for output in config["output"]]
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._control = ControlClient(settings.run_dir / CONTROL_NAME)
        self._live = LiveBoard(settings.run_dir / BOARD_NAME)

    def finalize(self) -> None:
        self._beat.close()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[None]:
        for request in requests:
            # Not as a returned response: nobody would see that Triton does not take it.
            Sender(request.get_response_sender()).send(self._answer(request), flags=FINAL)
        return [None] * len(requests)

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        try:
            return self._ask(request)
        except Exception as error:
            return _failure(told(error, "gemma4_unary"))

    def _ask(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        given = without_feed(parameters_of(request))
        timeout = check_parameters(given)
        inputs = {tensor.name(): tensor for tensor in request.inputs()}
        stream = inputs.pop("stream", None)
        if stream is not None and stream.as_numpy().any():
            raise invalid(
                Code.INVALID_VALUE, "stream", "gemma4_unary gives one whole answer; call gemma4"
            )
        whole = pb_utils.Tensor("stream", np.array([[False]]))
        key = new_key()
        call = pb_utils.InferenceRequest(
            model_name="gemma4",
            inputs=[*inputs.values(), whole],
            requested_output_names=self._outputs,
            request_id=id_of(request),
            parameters={
                KEY_PARAMETER: sealed_key(key, self._live.get().sealer),
                TIMEOUT: timeout,
                **trace_fields(read_trace(given)),
            },
        )
        gone = partial(asked, request.is_cancelled)
        with ClientWatch(gone, lambda: self._control.send("cancel", key)):
            responses = list(call.exec(decoupled=True))
        for response in responses:
            if error := response.error():
                raise relayed(error.message())
            if tensors := response.output_tensors():
                return pb_utils.InferenceResponse(tensors)
        raise RequestError(Code.ENGINE_FAILED, "the engine gave no answer")


def _failure(error: RequestError) -> pb_utils.InferenceResponse:
    triton_error = pb_utils.TritonError(
        error.to_wire(), getattr(pb_utils.TritonError, error.triton_code)
    )
    return pb_utils.InferenceResponse([], triton_error)
