"""The tensors of each model in ``model_repository``."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import Tensor

__all__ = ["FEED", "MODELS", "TOKENIZER_INPUTS", "Model"]

REQUEST = Tensor("request", "UINT8", many=True)
CHUNK = Tensor("chunk", "UINT8", many=True)
PACKED = Tensor("packed", "UINT8", many=True)
FEED = Tensor("feed", "STRING")

TOKENIZER_INPUTS = (
    Tensor("text", "STRING"),
    Tensor("messages", "STRING"),
    Tensor("tools", "STRING"),
    Tensor("enable_thinking", "BOOL"),
    Tensor("continue_final_message", "BOOL"),
    Tensor("add_bos", "BOOL"),
    Tensor("token_ids", "INT32", many=True, most=2**18),
)
TOKENIZER_OUTPUTS = (
    Tensor("token_ids", "INT32", many=True),
    Tensor("text", "STRING"),
    Tensor("token_bytes", "STRING", many=True),
    Tensor("engine", "STRING"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """``optional``: a request may leave out any of the inputs."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    optional: bool = True


MODELS = {
    "gemma4": Model(INPUTS, OUTPUTS),
    "preprocessing": Model(INPUTS, (REQUEST,)),
    "engine": Model((REQUEST, FEED, *INPUTS), (CHUNK, PACKED)),
    "postprocessing": Model((CHUNK,), OUTPUTS, optional=False),
    "gemma4_unary": Model(INPUTS, OUTPUTS),
    "gemma4_tokenizer": Model(TOKENIZER_INPUTS, TOKENIZER_OUTPUTS),
}
"""By name, in the order in which a request passes them."""
