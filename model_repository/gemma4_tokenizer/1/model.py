"""Text, a chat or token ids in; token ids, text and bytes out."""

from __future__ import annotations

from functools import partial

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.contract.models import TOKENIZER_INPUTS
from gemma4_runtime.errors import RequestError
from gemma4_runtime.processes.model_process import start_model_process
from gemma4_runtime.processes.triton_calls import Sender
from gemma4_runtime.server.call import parameters_of
from gemma4_runtime.server.gemma4_tokenizer import Tokenized, TokenizerService
from gemma4_runtime.server.guard import attempt, told
from gemma4_runtime.server.parameters import check_parameters
from gemma4_runtime.settings import load_settings

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
STEP = "gemma4_tokenizer"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings)
        self._service = TokenizerService(settings)

    def finalize(self) -> None:
        self._service.close()
        self._beat.close()

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[None]:
        for request in requests:
            self._answer(request, Sender(request.get_response_sender()))
        return [None] * len(requests)  # they are answered by their senders, some of them later

    def _answer(self, request: pb_utils.InferenceRequest, sender: Sender) -> None:
        try:
            check_parameters(parameters_of(request), [t.name for t in TOKENIZER_INPUTS])
            self._service.answer(
                {tensor.name(): tensor.as_numpy() for tensor in request.inputs()},
                lambda result: attempt(partial(_send, sender, result), STEP),
                gone=sender.is_cancelled,
            )
        except Exception as error:
            attempt(partial(_send, sender, told(error, STEP)), STEP)


def _send(sender: Sender, result: Tokenized | RequestError) -> None:
    response = _failure(result) if isinstance(result, RequestError) else _response(result)
    sender.send(response, flags=FINAL)


def _response(found: Tokenized) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor(name, np.array([values], dtype))
            for name, values, dtype in (
                ("token_ids", found.token_ids, np.int32),
                ("text", [found.text.encode()], np.object_),
                ("token_bytes", found.token_bytes, np.object_),
                ("engine", [found.engine.encode()], np.object_),
            )
            if values  # Triton's HTTP service never frees what it notes of an output of no bytes
        ]
    )


def _failure(error: RequestError) -> pb_utils.InferenceResponse:
    code = getattr(pb_utils.TritonError, error.triton_code)
    return pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))
