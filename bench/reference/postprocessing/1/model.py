"""Ids to text with the transformers tokenizer, one response at a time."""

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
            ids = pb_utils.get_input_tensor_by_name(request, "token_ids").as_numpy()
            length = pb_utils.get_input_tensor_by_name(request, "length").as_numpy()
            text = self._tokenizer.decode(ids[0], skip_special_tokens=True)
            tensors = [
                pb_utils.Tensor("text_output", np.array([[text.encode()]], np.object_)),
                pb_utils.Tensor("output_ids", ids),
                pb_utils.Tensor("sequence_length", length),
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
