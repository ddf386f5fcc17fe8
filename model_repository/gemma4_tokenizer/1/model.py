"""Text, a chat or token ids in; token ids, text and bytes out."""

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.server.guard import told
from gemma4_runtime.server.model_process import start_model_process
from gemma4_runtime.server.tokenizer import Tokenized, TokenizerService
from gemma4_runtime.settings import load_settings


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        settings = load_settings()
        self._beat = start_model_process(settings.run_dir)
        self._service = TokenizerService(settings)

    def finalize(self) -> None:
        self._beat.close()

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        try:
            found = self._service.answer(
                {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            )
            return _response(found)
        except Exception as error:
            return _failure(told(error, "gemma4_tokenizer"))


def _response(found: Tokenized) -> object:
    return pb_utils.InferenceResponse(
        [
            pb_utils.Tensor("token_ids", np.array([found.token_ids], np.int32)),
            pb_utils.Tensor("text", np.array([[found.text.encode()]], np.object_)),
            pb_utils.Tensor("token_bytes", np.array([found.token_bytes], np.object_)),
            pb_utils.Tensor("engine", np.array([[found.engine.encode()]], np.object_)),
        ]
    )


def _failure(error: RequestError) -> object:
    code = getattr(pb_utils.TritonError, error.triton_code)
    return pb_utils.InferenceResponse([], pb_utils.TritonError(error.to_wire(), code))
