"""Inputs of NVIDIA's models ``ensemble`` and ``tensorrt_llm_bls`` under names that ``gemma4`` has
not, so that a request that was written for them is answered, or is told what differs."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.contract.tensors import DataType, Input, Value

__all__ = ["NVIDIA_INPUTS", "Alias", "NoEffect"]


@dataclass(frozen=True, slots=True)
class Alias(Input):
    """Another name of the input ``of``, with its type."""

    of: str = ""


@dataclass(frozen=True, slots=True)
class NoEffect(Input):
    """An input of which only the values ``taken`` are accepted: they ask for what happens anyway.
    Empty texts always are. ``instead`` says for the others what cannot be done, and the way out."""

    taken: tuple[Value, ...] = ()
    instead: str = ""


def _alias(name: str, of: str, dtype: DataType, example: Value) -> Alias:
    return Alias(
        name, dtype, help=f"The same as `{of}`.", example=(example,), absent="none", sdk=None, of=of
    )


def _no_effect(
    name: str, dtype: DataType, taken: tuple[Value, ...], instead: str, *, many: bool = False
) -> NoEffect:
    return NoEffect(
        name,
        dtype,
        many=many,
        help=f"Only {_words(dtype, taken)}, without effect: {instead}.",
        example=taken[:1] or ("",),
        absent="none",
        sdk=None,
        taken=taken,
        instead=instead,
    )


def _words(dtype: DataType, taken: tuple[Value, ...]) -> str:
    if not taken:
        return "empty"
    if dtype == "BOOL":
        return " or ".join(str(value).lower() for value in taken)
    return " or ".join(f"{value:g}" for value in taken)


_NO_BEAMS = "beam search is not offered; draw with temperature and top_p"
_NO_LOGITS = "logits are not given; return_log_probs gives the log-probability of each token"
_NO_BIAS = "words are not biased; bad_words bans them"
_NO_DRAFTS = "a request brings no draft; an engine may be built to draft by itself"

NVIDIA_INPUTS: tuple[Alias | NoEffect, ...] = (
    _alias("seed", "random_seed", "UINT64", 7),
    _alias("runtime_top_k", "top_k", "INT32", 5),
    _alias("runtime_top_p", "top_p", "FP32", 0.9),
    _no_effect("beam_width", "INT32", (1,), _NO_BEAMS),
    _no_effect("length_penalty", "FP32", (1.0, 0.0), _NO_BEAMS),
    _no_effect("len_penalty", "FP32", (1.0, 0.0), _NO_BEAMS),
    _no_effect(
        "num_return_sequences",
        "INT32",
        (1,),
        "one request has one answer; send it again with another random_seed",
    ),
    _no_effect("return_context_logits", "BOOL", (False,), _NO_LOGITS),
    _no_effect("return_generation_logits", "BOOL", (False,), _NO_LOGITS),
    _no_effect(
        "return_perf_metrics",
        "BOOL",
        (False,),
        "the output timings of gemma4 has the times of each answer",
    ),
    _no_effect(
        "return_num_input_tokens", "BOOL", (False, True), "the output prompt_tokens always has them"
    ),
    _no_effect(
        "return_num_output_tokens",
        "BOOL",
        (False, True),
        "the output completion_tokens always has them",
    ),
    _no_effect("num_draft_tokens", "INT32", (0,), _NO_DRAFTS),
    _no_effect("use_draft_logits", "BOOL", (False,), _NO_DRAFTS),
    _no_effect(
        "decoder_text_input", "STRING", (), "this model has no encoder; put all into text_input"
    ),
    _no_effect("embedding_bias_words", "STRING", (), _NO_BIAS, many=True),
    _no_effect("embedding_bias_weights", "FP32", (0.0,), _NO_BIAS, many=True),
)
