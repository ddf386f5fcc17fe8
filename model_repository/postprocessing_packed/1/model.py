"""Postprocessing into one tensor: one chunk in, its values out as JSON."""

import numpy as np
import triton_python_backend_utils as pb_utils
from gemma4_runtime.messages import decode_chunk
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.server.board import Field
from gemma4_runtime.server.exit_door import ExitDoor
from gemma4_runtime.settings import load_settings


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._door = ExitDoor(load_settings(), Field.PACKED_HANDLED)

    def execute(self, requests: list) -> list:
        return [self._pass_on(request) for request in requests]

    def _pass_on(self, request: object) -> object:
        data = pb_utils.get_input_tensor_by_name(request, "chunk").as_numpy()
        chunk = decode_chunk(data.tobytes())
        if chunk.check and request.is_cancelled():
            self._door.cancel(chunk.key)
        self._door.handled()
        if chunk.probe:
            return pb_utils.InferenceResponse([])
        packed = np.frombuffer(pack(render(chunk)), np.uint8)[np.newaxis]
        return pb_utils.InferenceResponse([pb_utils.Tensor("packed", packed)])
