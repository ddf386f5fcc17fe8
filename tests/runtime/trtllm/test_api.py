"""The recorded API: every record is whole, and what it does not list is refused."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

import gemma4_runtime.trtllm.api
import pytest
from gemma4_runtime.trtllm.api import VERSION, ApiError, check_arguments, load_api
from gemma4_runtime.trtllm.argument import Argument
from jsonschema_rs import Draft202012Validator, Registry, meta

MODEL = {"model": "checkpoint"}
FOLDER = Path(gemma4_runtime.trtllm.api.__file__).parent / "api"


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
            assert argument.record is None or argument.record in api
            unknown = argument.schema.get("x-default-unknown", False)
            assert argument.required is ("default" not in argument.schema)
            assert argument.required or unknown or fits(argument)


def fits(argument: Argument) -> bool:
    if argument.record and argument.default == {}:
        return True
    return argument.fits(argument.default) and not argument.broken_limit(argument.default)


def documents() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def test_records_are_json_schemas() -> None:
    for document in documents():
        meta.validate(document)
        assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert document["x-version"] == VERSION


def valid_by_the_document_alone(name: str, values: dict[str, Any]) -> bool:
    schemas = {document["title"]: document for document in documents()}
    registry = Registry([(schema["$id"], schema) for schema in schemas.values()])
    return Draft202012Validator(schemas[name], registry=registry).is_valid(values)


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
    assert not valid_by_the_document_alone(name, values)
    with pytest.raises(ApiError) as caught:
        check_arguments(name, values)
    assert caught.value.key == key
    assert str(caught.value).startswith(key) and says in str(caught.value)
    assert name.split(".", maxsplit=1)[0] in str(caught.value) or "Config" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("MTPDecodingConfig", {"speculative_model_dir": "assistant"}),
        ("TorchLlmArgs", MODEL | {"cuda_graph_config": None}),
        ("TorchLlmArgs", MODEL | {"cuda_graph_config": {"batch_sizes": [1, 2]}}),
        ("TorchLlmArgs", MODEL | {"kv_cache_config": {"free_gpu_memory_fraction": 1}}),
        ("KvCacheConfig", {"use_kv_cache_manager_v2": "auto"}),
        ("KvCacheConfig", {"use_kv_cache_manager_v2": False}),
        ("SamplingParams", {"stop": ["a"], "temperature": 1, "seed": 10**18}),
        ("LLM.generate_async", {"inputs": [1, 2], "lora_request": {"any": ["thing"]}}),
    ],
)
def test_what_the_api_takes(name: str, values: dict[str, Any]) -> None:
    check_arguments(name, values)
    assert valid_by_the_document_alone(name, values)


CONFIGURATIONS = sorted(
    name for name in load_api() if name.endswith("Config") or name == "TorchLlmArgs"
)
KEYS = [
    (name, key)
    for name in CONFIGURATIONS
    for key in (*load_api()[name].arguments, *load_api()[name].aliases)
]


def test_as_many_keys_as_the_source_has() -> None:
    """Removed keys come on top: they are tolerated."""
    api = load_api()
    assert len(api["TorchLlmArgs"].arguments.keys() - {"sampler_type"}) == 117
    assert len(api["KvCacheConfig"].arguments.keys() - {"sink_token_length"}) == 40


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_every_real_key_is_taken_and_its_misspelling_refused(name: str, key: str) -> None:
    record = load_api()[name]
    required: dict[str, Any] = MODEL if name == "TorchLlmArgs" else {}
    argument = record.arguments[record.aliases.get(key, key)]
    value = "checkpoint" if argument.required else argument.default
    check_arguments(name, required | {key: value})
    with pytest.raises(ApiError, match=rf"^{key}x: .*has no argument '{key}x'"):
        check_arguments(name, required | {f"{key}x": value})
    if argument.schema.keys() & {"type", "enum", "$ref", "anyOf"}:
        with pytest.raises(ApiError) as caught:
            check_arguments(name, required | {key: object()})
        assert caught.value.key == key


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("num_serve_frontends", 65, "at most 64"),
        ("mla_skip_correction_threshold", 0.0, "more than 0"),
        ("mla_skip_correction_threshold", 33.0, "at most 32"),
        ("sampler_type", "TRTLLMSampler", "one of 'auto', 'TorchSampler'"),
        ("kv_cache_config.max_util_for_resume", 0.0, "more than 0"),
        ("kv_cache_config.kv_pool_rebalance_ratio_threshold", 1.0, "more than 1"),
        ("kv_cache_config.kv_pool_rebalance_moving_average_decay", 1.0, "less than 1"),
        ("kv_cache_config.mamba_ssm_philox_rounds", 0, "at least 1"),
        ("kv_cache_config.max_attention_window", [], "not empty"),
        ("kv_cache_config.mamba_state_config.periodic_snapshot_interval", -1, "at least 0"),
        ("kv_cache_config.block_reuse_config.policy", "none", "'per_request'"),
        ("kv_cache_config.kv_events_config.hwm", 0, "at least 1"),
        ("multimodal_config.video_pruning_rate", 1.0, "less than 1"),
        ("multimodal_config.encoder_cache_max_bytes", "128 megabytes", "512MB"),
        ("multimodal_config.encoder_cache_max_bytes", -1, "at least 0"),
        ("torch_compile_config.max_num_streams", 0, "at least 1"),
        ("cache_transceiver_config.backend", "TCP", "'NIXL'"),
        ("speculative_config.acceptance_rate_threshold", 1.5, "at most 1"),
        ("speculative_config.relaxed_topk", 0, "at least 1"),
        ("nvfp4_gemm_config.allowed_backends", [], "not empty"),
        ("gms_config.tag", "", "not empty"),
    ],
)
def test_ranges(key: str, value: object, says: str) -> None:
    *parents, last = key.split(".")
    inner: dict[str, Any] = {last: value}
    for parent in reversed(parents):
        inner = {parent: inner}
    with pytest.raises(ApiError, match=says) as caught:
        check_arguments("TorchLlmArgs", MODEL | inner)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "values",
    [
        {"multimodal_config": {"encoder_cache_max_bytes": "128MB"}},
        {"multimodal_config": {"encoder_cache_max_bytes": "1GiB", "video_pruning_rate": 0.5}},
        {"multimodal_config": None},
        {"kv_cache_config": {"mamba_state_config": {"enable_branch_snapshot": True}}},
        {"kv_cache_config": {"sink_token_length": 4}},
        {"sampler_type": "TorchSampler", "load_format": "DUMMY"},
        {"attention_dp_config": {"enable_balance": True, "timeout_iters": 20}},
        {"speculative_config": {"num_nextn_predict_layers": 3, "allow_advanced_sampling": True}},
        {"reorder_policy_config": {"policy_args": {"agent_types": ["Researcher"]}}},
    ],
)
def test_what_users_write(values: dict[str, Any]) -> None:
    check_arguments("TorchLlmArgs", MODEL | values)


class SamplingParams:
    """As TensorRT-LLM's own, which is no JSON."""


@pytest.mark.parametrize(
    ("name", "argument", "value", "fits"),
    [
        ("TorchLlmArgs", "model", PurePath("a/b"), True),
        ("TorchLlmArgs", "dtype", PurePath("auto"), False),
        ("TorchLlmArgs", "kv_cache_config", PurePath("a"), False),
        ("TorchLlmArgs", "env_overrides", {1: object()}, True),
        ("TorchLlmArgs", "env_overrides", object(), False),
        ("TorchLlmArgs", "batched_logits_processor", object(), True),
        ("TorchLlmArgs", "tensor_parallel_size", 2.0, False),
        ("SamplingParams", "stop_token_ids", [1, 2.0], False),
        ("SamplingParams", "stop_token_ids", [1, object()], False),
        ("SamplingParams", "additional_model_outputs", [object()], True),
        ("SamplingParams", "additional_model_outputs", [None], False),
        ("SamplingParams", "temperature", float("nan"), False),
        ("LLM.generate_async", "sampling_params", SamplingParams(), True),
        ("LLM.generate_async", "sampling_params", object(), False),
        ("LLM.generate_async", "lora_request", None, True),
        ("RequestOutput", "outputs", None, False),
    ],
)
def test_objects_of_python(name: str, argument: str, value: object, fits: bool) -> None:
    assert load_api()[name].arguments[argument].fits(value) is fits
