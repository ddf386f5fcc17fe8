"""Preprocessing: tensors in, one validated and tokenized request out."""

import json
import time
import uuid

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import KEY_PARAMETER
from gemma4_runtime.server.frontdoor import FrontDoor
from gemma4_runtime.settings import load_settings


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._door = FrontDoor(load_settings())

    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        try:
            made = self._door.admit(
                inputs, request_id=request.request_id(), key=_key(request), now=time.monotonic()
            )
        except RequestError as error:
            return pb_utils.InferenceResponse([], _triton_error(error))
        data = np.frombuffer(made, np.uint8)[np.newaxis]
        return pb_utils.InferenceResponse([pb_utils.Tensor("request", data)])


def _key(request: object) -> str:
    return str(json.loads(request.parameters() or "{}").get(KEY_PARAMETER) or uuid.uuid4().hex)


def _triton_error(error: RequestError) -> object:
    return pb_utils.TritonError(error.to_wire(), getattr(pb_utils.TritonError, error.triton_code))
