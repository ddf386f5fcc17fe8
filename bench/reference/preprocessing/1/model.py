"""Text to ids with the transformers tokenizer."""

import os

import numpy as np
import triton_python_backend_utils as pb_utils
from transformers import AutoTokenizer


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(os.environ["BENCH_TOKENIZER"])

    def execute(self, requests: list) -> list:
        responses = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy().item()
            ids = self._tokenizer.encode(text.decode())
            tensor = pb_utils.Tensor("input_ids", np.array([ids], np.int32))
            responses.append(pb_utils.InferenceResponse([tensor]))
        return responses
