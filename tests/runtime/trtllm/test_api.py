"""The recorded API: every record is whole, and what it does not list is refused."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_runtime.trtllm.api import ApiError, Argument, check_arguments, load_api
from gemma4_runtime.trtllm.types import matches, parse_type

MODEL = {"model": "checkpoint"}


def test_records_are_whole() -> None:
    api = load_api()
    assert {
        "TorchLlmArgs", "KvCacheConfig", "CudaGraphConfig", "MoeConfig", "SchedulerConfig",
        "MTPDecodingConfig", "MultimodalConfig", "SamplingParams", "GuidedDecodingParams",
        "LLM.generate_async", "RequestOutput", "CompletionOutput",
    } <= set(api)  # fmt: skip
    for record in api.values():
        assert record.sources and all(s["path"] and s["commit"] for s in record.sources)
        for argument in record.arguments.values():
            nested = argument.type.config
            assert nested is None or nested in api
            unknown = argument.default is None
            assert argument.required or unknown or fits(argument)


def fits(argument: Argument) -> bool:
    return argument.default == {} or matches(argument.type, argument.default)


def test_defaults_that_surprise() -> None:
    assert load_api()["SamplingParams"].defaults()["max_tokens"] == 32
    assert load_api()["KvCacheConfig"].defaults()["enable_block_reuse"] is True
    assert load_api()["RequestOutput"].methods == ("abort", "aborted", "aresult", "result")


@pytest.mark.parametrize(
    ("name", "values", "key", "says"),
    [
        ("TorchLlmArgs", MODEL | {"max_batch": 3}, "max_batch", "did you mean max_batch_size"),
        ("TorchLlmArgs", MODEL | {"zzz": 3}, "zzz", "remove it"),
        ("TorchLlmArgs", {}, "model", "needs it"),
        ("TorchLlmArgs", MODEL | {"tensor_parallel_size": "2"}, "tensor_parallel_size", "an integer"),
        ("TorchLlmArgs", MODEL | {"tensor_parallel_size": True}, "tensor_parallel_size", "an integer"),
        ("TorchLlmArgs", MODEL | {"guided_decoding_backend": "outlines"}, "guided_decoding_backend", "'xgrammar', 'llguidance'"),
        ("TorchLlmArgs", MODEL | {"kv_cache_config": {"dtype": "int8"}}, "kv_cache_config.dtype", "'fp8'"),
        ("TorchLlmArgs", MODEL | {"kv_cache_config": {"enable_block_reus": 1}}, "kv_cache_config.enable_block_reus", "enable_block_reuse"),
        ("TorchLlmArgs", MODEL | {"kv_cache_config": {"free_gpu_memory_fraction": 1.5}}, "kv_cache_config.free_gpu_memory_fraction", "at most 1"),
        ("TorchLlmArgs", MODEL | {"cuda_graph_config": "yes"}, "cuda_graph_config", "CudaGraphConfig's arguments or null"),
        ("TorchLlmArgs", MODEL | {"speculative_config": {"decoding_type": "Eagle3"}}, "speculative_config.decoding_type", "'MTP'"),
        ("SamplingParams", {"top_p": 0}, "top_p", "more than 0"),
        ("SamplingParams", {"stop_token_ids": ["1"]}, "stop_token_ids", "a list of int"),
        ("SamplingParams", {"max_new_tokens": 3}, "max_new_tokens", "max_tokens"),
    ],
)  # fmt: skip
def test_what_the_api_refuses(name: str, values: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_arguments(name, values)
    assert caught.value.key == key
    assert str(caught.value).startswith(key) and says in str(caught.value)
    assert name.split(".", maxsplit=1)[0] in str(caught.value) or "Config" in str(caught.value)


def test_aliases_and_nulls() -> None:
    check_arguments("MTPDecodingConfig", {"speculative_model_dir": "assistant"})
    check_arguments("TorchLlmArgs", MODEL | {"cuda_graph_config": None})


def test_types_that_are_none() -> None:
    for text in ("integer", "list(int)", "", "'a"):
        with pytest.raises(ValueError, match="is no type"):
            parse_type(text)
