"""Every input of NVIDIA's ``ensemble`` and ``tensorrt_llm_bls`` (their ``config.pbtxt`` of July
2026), with values that are taken and values that are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["THEIRS", "Theirs", "array", "request"]

_TYPES: dict[str, Any] = {
    "BYTES": np.object_, "BOOL": np.bool_, "INT32": np.int32, "UINT64": np.uint64,
    "FP16": np.float16, "FP32": np.float32, "UINT8": np.uint8,
}  # fmt: skip


@dataclass(frozen=True)
class Theirs:
    """``dims`` as there, without the batch. ``taken`` and ``refused``: values of one prompt."""

    name: str
    wire: str
    dims: tuple[int, ...] = (1,)
    taken: tuple[Any, ...] = ()
    refused: tuple[Any, ...] = ()


def _flag(name: str, *, true: bool) -> Theirs:
    return Theirs(name, "BOOL", taken=(False, True) if true else (False,), refused=() if true else (True,))  # fmt: skip


THEIRS = (
    Theirs("text_input", "BYTES", taken=("Hello",), refused=("",)),
    Theirs("decoder_text_input", "BYTES", taken=("",), refused=("x",)),
    Theirs("max_tokens", "INT32", taken=(1, 4), refused=(0, -1, 10**6)),
    Theirs("num_return_sequences", "INT32", taken=(1, 2), refused=(0, -1, 65)),
    Theirs("bad_words", "BYTES", (-1,), taken=([""], ["x"], ["", "Paris"]), refused=(["x" * 2000],)),
    Theirs("stop_words", "BYTES", (-1,), taken=([""], ["x"], ["x", "y"]), refused=(["x" * 2000],)),
    _flag("exclude_input_in_output", true=True),
    Theirs("end_id", "INT32", taken=(1, 50256), refused=(-1,)),
    Theirs("pad_id", "INT32", taken=(0, 50256)),
    Theirs("top_k", "INT32", taken=(0, 1, 5), refused=(-1,)),
    Theirs("top_p", "FP32", taken=(0.0, 0.5, 1.0), refused=(-0.5, 1.5)),
    Theirs("temperature", "FP32", taken=(0.5, 1.0), refused=(-1.0, float("nan"))),
    Theirs("length_penalty", "FP32", taken=(0.0, 1.0), refused=(2.0,)),
    Theirs("repetition_penalty", "FP32", taken=(1.0, 1.2), refused=(0.0,)),
    Theirs("min_tokens", "INT32", taken=(0, 1), refused=(-1,)),
    Theirs("presence_penalty", "FP32", taken=(0.0, 0.5), refused=(3.0,)),
    Theirs("frequency_penalty", "FP32", taken=(0.0, 0.5), refused=(3.0,)),
    Theirs("seed", "UINT64", taken=(0, 2**64 - 1)),
    _flag("return_log_probs", true=True),
    _flag("return_context_logits", true=False),
    _flag("return_generation_logits", true=False),
    _flag("return_perf_metrics", true=False),
    _flag("return_num_input_tokens", true=True),
    _flag("return_num_output_tokens", true=True),
    Theirs("beam_width", "INT32", taken=(1,), refused=(0, 2)),
    _flag("stream", true=True),
    Theirs("prompt_embedding_table", "FP16", (-1, -1), refused=([[0.5, 0.5]],)),
    Theirs("prompt_table_extra_id", "UINT64", refused=(0,)),
    Theirs("prompt_vocab_size", "INT32", refused=(0, 8)),
    Theirs("embedding_bias_words", "BYTES", (-1,), taken=([""],), refused=(["x"],)),
    Theirs("embedding_bias_weights", "FP32", (-1,), taken=([0.0],), refused=([2.0],)),
    Theirs("num_draft_tokens", "INT32", taken=(0,), refused=(3,)),
    _flag("use_draft_logits", true=False),
    Theirs("lora_task_id", "UINT64", refused=(0, 3)),
    Theirs("lora_weights", "FP16", (-1, -1), refused=([[0.5]],)),
    Theirs("lora_config", "INT32", (-1, 3), refused=([[1, 2, 3]],)),
    Theirs("image_input", "FP16", (-1, 3, -1, -1), refused=([[[[0.5]]] * 3],)),
    Theirs("image_bytes_input", "UINT8", (-1, -1, -1, -1), refused=([[[[1]]]],)),
    Theirs("image_url_input", "BYTES", refused=("https://example.com/a.png",)),
    Theirs("video_bytes_input", "UINT8", (-1, -1, -1, -1), refused=([[[[1]]]],)),
    Theirs("guided_decoding_guide_type", "BYTES", taken=("json", ""), refused=("structural_tag",)),
    Theirs("guided_decoding_guide", "BYTES", taken=("",), refused=("x",)),
)  # fmt: skip


def array(theirs: Theirs, value: Any) -> npt.NDArray[Any]:
    """The tensor of a request with one prompt."""
    if theirs.wire == "BYTES":
        value = [v.encode() for v in value] if isinstance(value, list) else value.encode()
    shaped = np.array(value, _TYPES[theirs.wire])
    return shaped.reshape((1, *(shaped.shape or (1,))))


def request(theirs: Theirs, value: Any) -> dict[str, npt.NDArray[Any]]:
    """Of a whole request: their documented one, with ``value``."""
    usual = {"text_input": "Hello", "max_tokens": 4, "stop_words": [""], "bad_words": [""]}
    by_name = {each.name: each for each in THEIRS}
    tensors = {name: array(by_name[name], usual[name]) for name in usual}
    return {**tensors, theirs.name: array(theirs, value)}
