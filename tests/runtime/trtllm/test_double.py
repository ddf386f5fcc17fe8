"""The double refuses what TensorRT-LLM's API refuses, and behaves as recorded."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_runtime.trtllm.api import load_api
from gemma4_runtime.trtllm.llm_args import compose
from gemma4_testing.engine_folders.trtllm_folder import DOUBLES
from tokenizers import Tokenizer

ASKED = "<bos><|turn>user\nWhat is the capital of France?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"


@pytest.fixture(scope="module")
def trt() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOUBLES))
        module = importlib.import_module("tensorrt_llm")
        importlib.import_module("tensorrt_llm.llmapi")
        yield module
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorrt_llm"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def arguments(checkpoint: Path) -> dict[str, Any]:
    args = compose(
        "latency", precision="bf16", tp=1, ep=1, attention_dp=False, slots=2, max_total_tokens=2000
    )
    return args | {"model": str(checkpoint)}


@pytest.fixture(scope="module")
def llm(trt: Any, arguments: dict[str, Any]) -> Iterator[Any]:
    made = trt.LLM(**arguments)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def ids(checkpoint: Path) -> list[int]:
    return Tokenizer.from_file(str(checkpoint / "tokenizer.json")).encode(ASKED).ids


def params(trt: Any, **values: Any) -> Any:
    stops = {"end_id": -1, "stop_token_ids": [1, 106, 50]}
    return trt.SamplingParams(**(stops | values))


def test_names_are_the_recorded_ones(trt: Any) -> None:
    for name in ("CompletionOutput", "RequestOutput"):
        known = load_api()[name]
        made = getattr(trt.llmapi, name)
        instance = made(0) if name == "CompletionOutput" else None
        for attribute in known.arguments:
            found = hasattr(instance, attribute) or attribute in made.__init__.__code__.co_names
            assert found, attribute
        for method in known.methods:
            assert callable(getattr(made, method))
    for name in ("KvCacheConfig", "CudaGraphConfig", "MoeConfig", "SchedulerConfig",
                 "MTPDecodingConfig", "MultimodalConfig", "TorchLlmArgs"):  # fmt: skip
        assert getattr(trt.llmapi, name).__name__ == name
    assert trt.llmapi.KvCacheConfig().enable_block_reuse is True


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_new_tokens": 3}, "max_tokens"),
        ({"temperature": -1.0}, "at least 0"),
        ({"top_p": 0.0}, "more than 0"),
        ({"top_k": -1}, "at least 0"),
        ({"max_tokens": "3"}, "an integer"),
        ({"n": 2}, "greedy"),
        ({"n": 3, "best_of": 2}, "less than n"),
        ({"stop_token_ids": 3}, "a list of int"),
        ({"bad_token_ids": [[1, 2]]}, "a list of int"),
        ({"guided_decoding": {"regex": "a"}}, "GuidedDecodingParams"),
    ],
)
def test_sampling_params_that_are_refused(trt: Any, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trt.SamplingParams(**values)


def test_sampling_defaults(trt: Any) -> None:
    made = trt.SamplingParams()
    assert (made.max_tokens, made.detokenize, made.logprobs, made.greedy) == (32, True, None, True)
    assert trt.SamplingParams(temperature=0.0).greedy
    assert not trt.SamplingParams(top_p=0.9).greedy
    with pytest.raises(ValueError, match="only one guide"):
        trt.GuidedDecodingParams(regex="a", json_object=True)
    with pytest.raises(NotImplementedError):
        trt.SamplingParams(use_beam_search=True)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"model": "nowhere"}, ValueError, "no Hugging Face checkpoint"),
        ({"max_batch": 3}, ValueError, "max_batch_size"),
        ({"kv_cache_config": {"dtype": 3}}, ValueError, "kv_cache_config.dtype"),
        ({"tensor_parallel_size": 9}, RuntimeError, "Only 8 GPUs are available, but 9"),
        ({"pipeline_parallel_size": 2}, AssertionError, "pp_size"),
        ({"context_parallel_size": 2}, AssertionError, "cp_size"),
        ({"skip_tokenizer_init": True}, ValueError, "needs a tokenizer"),
        ({"speculative_config": {"speculative_model": "x"}}, ValueError, "MTP"),
    ],
)
def test_constructions_that_fail(
    trt: Any, arguments: dict[str, Any], changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        trt.LLM(**(arguments | changes))


def test_configurations_as_objects(trt: Any, arguments: dict[str, Any]) -> None:
    cache = trt.llmapi.KvCacheConfig(enable_block_reuse=False)
    trt.LLM(**(arguments | {"kv_cache_config": cache})).shutdown()
    with pytest.raises(ValueError, match="did you mean"):
        trt.llmapi.KvCacheConfig(enable_block_reus=False)


def stream(llm: Any, trt: Any, ids: list[int], **values: Any) -> Any:
    """Deltas, and the last response."""

    async def read() -> Any:
        deltas = []
        output = llm.generate_async(
            {"prompt_token_ids": ids}, params(trt, **values), streaming=True
        )
        async for response in output:
            part = response.outputs[0]
            deltas.append((part.token_ids_diff, part.logprobs_diff, part.text_diff))
        return deltas, output

    return asyncio.run(read())


def test_streams_are_cumulative_and_have_deltas(llm: Any, trt: Any, ids: list[int]) -> None:
    deltas, output = stream(llm, trt, ids, max_tokens=60, logprobs=0)
    part = output.outputs[0]
    assert output.finished and part.finish_reason == "stop" and part.stop_reason == 106
    assert 106 not in part.token_ids  # stop words are cut off unless asked for
    assert [i for new, _, _ in deltas for i in new] == part.token_ids
    assert "".join(text for _, _, text in deltas) == part.text == "The capital of France is Paris."
    assert all(
        set(entry) == {token} for token, entry in zip(part.token_ids, part.logprobs, strict=True)
    )
    assert part.length == len(part.token_ids)
    _, output = stream(llm, trt, ids, max_tokens=60, include_stop_str_in_output=True)
    assert output.outputs[0].token_ids[-1] == 106


@pytest.mark.parametrize(("size", "dtype"), [(-1, "float32"), (0, "float64")])
def test_an_embedding_bias_that_does_not_fit(
    llm: Any, trt: Any, ids: list[int], size: int, dtype: str
) -> None:
    """The sampler adds it to the logits as it is."""
    bias = SimpleNamespace(dtype=f"torch.{dtype}", shape=(llm._vocab_size + size,))
    with pytest.raises(trt.executor.RequestError, match="embedding_bias must be float32 of shape"):
        stream(llm, trt, ids, embedding_bias=bias)


def test_end_id_stays_in_the_output(llm: Any, trt: Any, ids: list[int]) -> None:
    _, output = stream(llm, trt, ids, end_id=106, stop_token_ids=[1, 50], max_tokens=60)
    part = output.outputs[0]
    assert part.token_ids[-1] == 106 and part.finish_reason == "stop" and part.stop_reason is None


def test_lengths(llm: Any, trt: Any, ids: list[int]) -> None:
    assert len(llm.generate(ids, params(trt)).outputs[0].token_ids) <= 32
    assert len(llm.generate([ids, ids], params(trt, max_tokens=2))) == 2
    _, output = stream(llm, trt, ids, max_tokens=3, detokenize=False)
    assert (output.outputs[0].finish_reason, output.outputs[0].text) == ("length", "")
    with pytest.raises(RuntimeError, match="max_seq_len"):
        stream(llm, trt, [2] * 2000)
    with pytest.raises(RuntimeError, match="out of range"):
        stream(llm, trt, [2, 4096])


HOT = {"temperature": 5.0, "top_p": 1.0}


def test_without_a_seed_one_generator_goes_on(llm: Any, trt: Any, ids: list[int]) -> None:
    first, second = (stream(llm, trt, ids, **HOT)[1].outputs[0].token_ids for _ in range(2))
    assert first != second


def test_a_seed_counts_for_a_request_that_is_alone(llm: Any, trt: Any, ids: list[int]) -> None:
    def alone(seed: int) -> Any:
        return stream(llm, trt, ids, seed=seed, **HOT)[1].outputs[0].token_ids

    assert alone(7) == alone(7) != alone(8)


def test_a_seed_is_not_effective_beside_others(llm: Any, trt: Any, ids: list[int]) -> None:
    async def second_of_two() -> Any:
        options = {"streaming": True}
        both = [
            llm.generate_async(ids, params(trt, seed=seed, max_tokens=20, **HOT), **options)
            for seed in (7, 8)
        ]
        return [(await output.aresult()).outputs[0].token_ids for output in both]

    lead, beside = asyncio.run(second_of_two())
    assert lead == stream(llm, trt, ids, seed=7, max_tokens=20, **HOT)[1].outputs[0].token_ids
    assert beside != stream(llm, trt, ids, seed=8, max_tokens=20, **HOT)[1].outputs[0].token_ids


def test_abort(llm: Any, trt: Any, ids: list[int]) -> None:
    async def read() -> Any:
        output = llm.generate_async(
            {"prompt_token_ids": ids},
            params(trt, max_tokens=1500, bad_token_ids=[1, 106, 50]),
            streaming=True,
        )
        async for _ in output:
            output.abort()
        return output

    output = asyncio.run(read())
    assert output.aborted() and output.finished
    assert output.outputs[0].finish_reason == "cancelled"
    assert output.outputs[0].length < 1500


def test_calls_that_are_refused(llm: Any, trt: Any, ids: list[int]) -> None:
    with pytest.raises(TypeError, match="streaming"):
        llm.generate_async(ids, streaming="yes")
    with pytest.raises(TypeError, match="no argument 'stream'"):
        llm.generate_async(ids, stream=True)
    with pytest.raises(TypeError, match="sampling_params"):
        llm.generate_async(ids, {"max_tokens": 3})
    with pytest.raises(TimeoutError):
        llm.generate_async(ids, params(trt, max_tokens=1500)).result(timeout=0.0)
    (stats,) = llm.get_stats()
    assert stats["kvCacheStats"]["maxNumBlocks"] == 126


def test_guides_need_a_backend(trt: Any, arguments: dict[str, Any], ids: list[int]) -> None:
    off = {"guided_decoding_backend": None, "enable_iter_perf_stats": False}
    llm = trt.LLM(**(arguments | off))
    assert llm.get_stats() == []
    guide = trt.GuidedDecodingParams(regex="[0-9]{3}")
    with pytest.raises(RuntimeError, match="not enabled"):
        llm.generate(ids, params(trt, guided_decoding=guide))
    llm.shutdown()
    with pytest.raises(RuntimeError, match="shutting down"):
        llm.generate_async(ids)


def test_prompts_longer_than_a_step(trt: Any, arguments: dict[str, Any], ids: list[int]) -> None:
    llm = trt.LLM(**(arguments | {"enable_chunked_prefill": False, "max_num_tokens": 10}))
    with pytest.raises(ValueError, match="max_num_tokens"):
        llm.generate(ids)
    llm.shutdown()


def test_without_tokenizer(trt: Any, arguments: dict[str, Any], ids: list[int]) -> None:
    llm = trt.LLM(**(arguments | {"skip_tokenizer_init": True, "guided_decoding_backend": None}))
    with pytest.raises(ValueError, match="end_id"):
        llm.generate(ids)
    with pytest.raises(ValueError, match="needs a tokenizer"):
        llm.generate_async("Hello", params(trt))
    assert llm.generate(ids, params(trt, max_tokens=3)).outputs[0].text == ""
    llm.shutdown()


def test_a_dead_executor(
    trt: Any, arguments: dict[str, Any], ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTLLM_DOUBLE_FAULT", "die_at=3")
    llm = trt.LLM(**arguments)
    with pytest.raises(RuntimeError, match="executor died"):
        stream(llm, trt, ids, max_tokens=20)
    assert llm._check_health() is False
    with pytest.raises(RuntimeError, match="executor died"):
        llm.generate_async(ids)
    llm.shutdown()


def test_a_checkpoint_without_weights(
    trt: Any, arguments: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    shutil.copy(checkpoint / "config.json", tmp_path)
    with pytest.raises(ValueError, match="no Hugging Face checkpoint"):
        trt.LLM(**(arguments | {"model": str(tmp_path)}))


@pytest.mark.parametrize(
    ("algorithm", "changes", "says"),
    [
        ("NVFP4", {}, "96 wide on each GPU"),
        ("W4A8_AWQ", {}, "packed key/value heads"),
        ("FP8", {"tensor_parallel_size": 2}, "48 wide on each GPU"),
        (None, {"tensor_parallel_size": 3}, "4 attention heads do not divide"),
    ],
)
def test_a_folder_that_loads_wrongly(
    trt: Any, arguments: dict[str, Any], checkpoint: Path, tmp_path: Path, algorithm: str | None,
    changes: dict[str, Any], says: str,
) -> None:  # fmt: skip
    """By the same rules as the table, the build and the start."""
    for file in checkpoint.iterdir():
        (tmp_path / file.name).symlink_to(file)
    if algorithm is not None:
        found = {"quantization": {"quant_algo": algorithm, "exclude_modules": []}}
        (tmp_path / "hf_quant_config.json").write_text(json.dumps(found))
    with pytest.raises(RuntimeError, match=says):
        trt.LLM(**(arguments | changes | {"model": str(tmp_path)}))
