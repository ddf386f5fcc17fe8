"""The models of the overlay ``nvidia_repository``: NVIDIA's ``ensemble`` and ``tensorrt_llm_bls``,
with the names, types and shapes that their clients send and index.

A shape has the dimension of the batch, which Triton would otherwise add: a batch there is several
prompts, and ``text_output`` has no such dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.contract.inputs import INPUT
from gemma4_runtime.contract.models import CHUNK, REQUEST, Model
from gemma4_runtime.contract.tensors import Tensor

__all__ = [
    "INPUT_NAMES",
    "NVIDIA_MODELS",
    "OVERLAY",
    "REFUSED",
    "RETURN_SEQUENCES",
    "Refused",
    "Shaped",
]

_ANY = -1
"""A dimension of any length, as Triton writes it."""


@dataclass(frozen=True, slots=True)
class Shaped(Tensor):
    """A tensor with a shape of its own; -1 is any length."""

    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused(Shaped):
    """An input of which no value is taken. ``instead`` says why, and the way out."""

    instead: str = ""


RETURN_SEQUENCES = "num_return_sequences"
"""Answers to each prompt."""

_NO_TABLE = "prompt tables are not offered; put all into text_input"
_NO_LORA = "adapters are not offered; build an engine of the merged checkpoint"
_NO_IMAGES = "this model reads text only; leave it out"

REFUSED: tuple[Refused, ...] = (
    Refused("prompt_embedding_table", "FP16", shape=(_ANY, _ANY, _ANY), instead=_NO_TABLE),
    Refused("prompt_table_extra_id", "UINT64", shape=(_ANY, _ANY), instead=_NO_TABLE),
    Refused("prompt_vocab_size", "INT32", shape=(_ANY, 1), instead=_NO_TABLE),
    Refused("lora_task_id", "UINT64", shape=(_ANY, 1), instead=_NO_LORA),
    Refused("lora_weights", "FP16", shape=(_ANY, _ANY, _ANY), instead=_NO_LORA),
    Refused("lora_config", "INT32", shape=(_ANY, _ANY, 3), instead=_NO_LORA),
    Refused("image_input", "FP16", shape=(_ANY, _ANY, 3, _ANY, _ANY), instead=_NO_IMAGES),
    Refused("image_bytes_input", "UINT8", shape=(_ANY,) * 5, instead=_NO_IMAGES),
    Refused("image_url_input", "STRING", shape=(_ANY, _ANY), instead=_NO_IMAGES),
    Refused("video_bytes_input", "UINT8", shape=(_ANY,) * 5, instead=_NO_IMAGES),
)

_SHARED = (
    "text_input", "decoder_text_input", "max_tokens", RETURN_SEQUENCES, "bad_words", "stop_words",
    "exclude_input_in_output", "end_id", "pad_id", "top_k", "top_p", "temperature",
    "length_penalty", "repetition_penalty", "min_tokens", "presence_penalty",
    "frequency_penalty", "seed", "random_seed", "return_log_probs", "return_context_logits",
    "return_generation_logits", "return_perf_metrics", "return_num_input_tokens",
    "return_num_output_tokens", "beam_width", "stream", "embedding_bias_words",
    "embedding_bias_weights", "num_draft_tokens", "use_draft_logits",
    "guided_decoding_guide_type", "guided_decoding_guide",
)  # fmt: skip
"""Inputs that ``gemma4`` has too, with their types. ``random_seed`` is how older versions of their
models name ``seed``."""


def _shared(name: str) -> Shaped:
    tensor = INPUT[name]
    return Shaped(name, tensor.dtype, tensor.many, tensor.most, shape=(_ANY, tensor.dims))


_INPUTS: tuple[Shaped, ...] = (*map(_shared, _SHARED), *REFUSED)
_NEVER = (
    Shaped("context_logits", "FP32", shape=(_ANY,) * 3),
    Shaped("generation_logits", "FP32", shape=(_ANY,) * 4),
    *(
        Shaped(f"kv_cache_{name}_blocks", "INT32", shape=(_ANY, 1))
        for name in ("alloc_new", "reused", "alloc_total")
    ),
    *(
        Shaped(f"{name}_time_ns", "INT64", shape=(_ANY, 1))
        for name in ("arrival", "first_scheduled", "first_token", "last_token")
    ),
    Shaped("acceptance_rate", "FP32", shape=(_ANY, 1)),
    Shaped("total_accepted_draft_tokens", "INT32", shape=(_ANY, 1)),
    Shaped("total_draft_tokens", "INT32", shape=(_ANY, 1)),
)
"""Outputs that come only with inputs that are refused. They are declared so that Triton lets a
request that names them through, and the refusal can say what is not there."""

_OUTPUTS = (
    Shaped("text_output", "STRING", shape=(_ANY,)),
    Shaped("reasoning_output", "STRING", shape=(_ANY,)),
    Shaped("cum_log_probs", "FP32", shape=(_ANY, _ANY)),
    Shaped("output_log_probs", "FP32", shape=(_ANY, _ANY, _ANY)),
    Shaped("batch_index", "INT32", shape=(_ANY, 1)),
    Shaped("sequence_index", "INT32", shape=(_ANY, 1)),
    Shaped("num_input_tokens", "INT32", shape=(_ANY, 1)),
    Shaped("num_output_tokens", "INT32", shape=(_ANY, 1)),
    *_NEVER,
)

INPUT_NAMES = tuple(tensor.name for tensor in _INPUTS)

OVERLAY = ("ensemble", "tensorrt_llm_bls")
"""Names that their clients ask for."""

NVIDIA_MODELS = {
    **dict.fromkeys(OVERLAY, Model(_INPUTS, _OUTPUTS)),
    "nvidia_preprocessing": Model(_INPUTS, (REQUEST,)),
    "nvidia_postprocessing": Model((CHUNK,), _OUTPUTS, optional=False),
}
"""By name."""
