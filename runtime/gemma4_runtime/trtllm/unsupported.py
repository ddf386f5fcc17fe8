"""What this model cannot do in TensorRT-LLM, though the API would take the argument.

Each was read in TensorRT-LLM's public source or issues around 1.3.0rc29; none was run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from gemma4_runtime.one_line import one_line
from gemma4_runtime.picklable import PicklableError
from gemma4_runtime.trtllm.api import ApiError, check_arguments, load_api
from gemma4_runtime.trtllm.foreign_code import foreign_code

__all__ = ["SLIDING_WINDOW", "LlmArgsError", "check"]

SLIDING_WINDOW = 1024
"""A ``max_seq_len`` up to the sliding window makes TensorRT-LLM read illegal memory:
https://github.com/NVIDIA/TensorRT-LLM/pull/16099."""


class LlmArgsError(PicklableError, ValueError):
    """An argument that this model or TensorRT-LLM cannot take. ``key`` is its dotted path."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(one_line(message))
        self.key = key


Problem = tuple[str, str]
"""Dotted key, what is wrong and the way out."""


def check(args: Mapping[str, Any], *, file: str = "") -> None:
    """Raise :class:`LlmArgsError` for the first problem; ``file`` starts its message."""
    prefix = f"{file}: " if file else ""
    try:
        check_arguments("TorchLlmArgs", args)
    except ApiError as error:
        raise LlmArgsError(f"{prefix}{error}", key=error.key) from None
    for key, problem in _scheduler(args):
        raise LlmArgsError(f"{prefix}{key}: {problem}", key=key)
    full = _with_defaults("TorchLlmArgs", args)
    for find_problems in _CHECKS:
        for key, problem in find_problems(full):
            raise LlmArgsError(f"{prefix}{key}: {problem}", key=key)


def _with_defaults(class_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    known = load_api()[class_name]
    full = known.defaults() | {known.aliases.get(k, k): v for k, v in values.items()}
    for argument in known.arguments.values():
        if argument.record is not None and isinstance(full.get(argument.name), dict):
            full[argument.name] = _with_defaults(argument.record, full[argument.name])
    return full


def _paths(args: dict[str, Any]) -> Iterator[Problem]:
    path = PurePath(args["model"])
    if path.is_absolute() or ".." in path.parts:
        yield (
            "model",
            f"{args['model']!r} is outside the engine folder; use a path relative to it",
        )


def _parallelism(args: dict[str, Any]) -> Iterator[Problem]:
    for key, short in (("pipeline_parallel_size", "PP"), ("context_parallel_size", "CP")):
        if args[key] != 1:
            yield key, f"{args[key]}: Gemma 4 runs with {short} 1 only; use tensor_parallel_size"
    size, experts = args["tensor_parallel_size"], args["moe_expert_parallel_size"]
    if experts is not None and (experts < 1 or size % experts):
        yield (
            "moe_expert_parallel_size",
            f"{experts} does not divide tensor_parallel_size, {size}; use a divisor of it",
        )
    clusters = args["moe_cluster_parallel_size"]
    if clusters not in (None, 1):
        yield (
            "moe_cluster_parallel_size",
            f"{clusters}: cuts the experts in a way that nobody checked; use "
            "moe_expert_parallel_size",
        )
    tensor = args["moe_tensor_parallel_size"]
    if tensor is not None and tensor * (experts or 1) != size:
        yield (
            "moe_tensor_parallel_size",
            f"{tensor} times moe_expert_parallel_size, {experts or 1}, must be "
            f"tensor_parallel_size, {size}; leave it out",
        )


def _kv_cache(args: dict[str, Any]) -> Iterator[Problem]:
    cache = args["kv_cache_config"]
    for key in ("enable_block_reuse", "enable_partial_reuse"):
        if cache[key]:
            yield (
                f"kv_cache_config.{key}",
                "TensorRT-LLM does not support KV cache reuse for Gemma 4, and it is on by "
                "default; set it to false",
            )
    if cache["dtype"] not in ("auto", "bfloat16", "fp8"):
        yield (
            "kv_cache_config.dtype",
            f"{cache['dtype']!r} is untested with Gemma 4; use fp8, or auto for bf16 weights",
        )
    if cache["max_attention_window"] is not None:
        yield (
            "kv_cache_config.max_attention_window",
            "the windows come from the checkpoint, one for each layer; leave it out",
        )


def _scheduler(args: Mapping[str, Any]) -> Iterator[Problem]:
    """Look at what is written: TensorRT-LLM replaces its own default without harm."""
    if (args.get("kv_cache_config") or {}).get("use_kv_cache_manager_v2") is False:
        return
    policy = (args.get("scheduler_config") or {}).get("capacity_scheduler_policy")
    if policy not in (None, "MAX_UTILIZATION"):
        yield (
            "scheduler_config.capacity_scheduler_policy",
            f"{policy!r} is ignored with Gemma 4, whose scheduler knows MAX_UTILIZATION only; "
            "set it to MAX_UTILIZATION, and kv_cache_config.host_cache_size to host memory for the "
            "requests that it suspends",
        )


def _lengths(args: dict[str, Any]) -> Iterator[Problem]:
    total, step = args["max_seq_len"], args["max_num_tokens"]
    if total is None or total <= SLIDING_WINDOW:
        yield (
            "max_seq_len",
            f"{total} is not more than the sliding window, {SLIDING_WINDOW}, which TensorRT-LLM "
            f"needs with Gemma 4; set at least {SLIDING_WINDOW + 1}",
        )
        return
    average = (args["kv_cache_config"] or {}).get("avg_seq_len")
    if average is not None and average > total:
        yield (
            "kv_cache_config.avg_seq_len",
            f"{average} is more than max_seq_len, {total}, which TensorRT-LLM refuses; set it to "
            "the length of most requests, at most max_seq_len",
        )
    if not args["enable_chunked_prefill"] and (step or 0) < total:
        yield (
            "enable_chunked_prefill",
            f"false refuses prompts over max_num_tokens, {step}, though max_seq_len is {total}; "
            "set it to true",
        )
    if args["max_batch_size"] is None:
        yield "max_batch_size", "is null; set it to the slots of the server"
        return
    draft = (args["speculative_config"] or {}).get("max_draft_len") or 0
    needed = args["max_batch_size"] * (1 + draft)
    if (step or 0) < needed:
        yield (
            "max_num_tokens",
            f"{step} is less than {needed}, what {args['max_batch_size']} running requests need in "
            "one step; raise it",
        )


def _features(args: dict[str, Any]) -> Iterator[Problem]:
    for key in ("enable_lora", "lora_config", "peft_cache_config"):
        if args[key]:
            yield key, "LoRA is unsupported for Gemma 4; merge the adapter into the checkpoint"
    backend = args["moe_config"]["backend"]
    if backend not in ("AUTO", "CUTLASS"):
        yield (
            "moe_config.backend",
            f"{backend!r} lacks a kernel for Gemma 4's experts (GELU-tanh gate); use CUTLASS",
        )
    if args["max_beam_width"] not in (None, 1):
        yield "max_beam_width", f"{args['max_beam_width']}: the server samples; set it to 1"
    if args["torch_compile_config"] is not None:
        yield "torch_compile_config", "fails with CUDA graphs in this version; leave it out"
    if args["skip_tokenizer_init"] and args["guided_decoding_backend"]:
        yield (
            "skip_tokenizer_init",
            f"{args['guided_decoding_backend']} needs the tokenizer's vocabulary; set it to false",
        )
    for key in ("mm_encoder_only", "encode_only"):
        if args[key]:
            yield key, "the server generates text; set it to false"


def _speculation(args: dict[str, Any]) -> Iterator[Problem]:
    config = args["speculative_config"]
    if config is None:
        return
    if args["guided_decoding_backend"] is not None:
        yield (
            "guided_decoding_backend",
            "MTP and guided decoding do not go together; remove one of "
            "guided_decoding_backend and speculative_config",
        )
    if config["speculative_model"] is None:
        yield (
            "speculative_config.speculative_model",
            "is missing; name the folder of the assistant checkpoint",
        )
    if not config["max_draft_len"]:
        yield "speculative_config.max_draft_len", "is missing; set it to 3"
    if not config["mtp_eagle_one_model"]:
        yield (
            "speculative_config.mtp_eagle_one_model",
            "the two-model form is deprecated and untested with Gemma 4; set it to true",
        )
    for key in (
        "use_dynamic_tree", "draft_len_schedule", "sa_config", "use_rejection_sampling",
        "use_mtp_vanilla",
    ):  # fmt: skip
        if config[key]:
            yield f"speculative_config.{key}", "Gemma 4's assistant does not support it; remove it"


_CHECKS: tuple[Callable[[dict[str, Any]], Iterator[Problem]], ...] = (
    _paths,
    foreign_code,
    _parallelism,
    _kv_cache,
    _lengths,
    _features,
    _speculation,
)
