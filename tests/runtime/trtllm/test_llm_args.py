"""llm_args.yaml: complete when composed, checked when read, every problem with its way out."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.api import load_api
from gemma4_runtime.trtllm.foreign_code import FOREIGN_CODE
from gemma4_runtime.trtllm.llm_args import LlmArgsError, compose
from gemma4_runtime.trtllm.setup import PRECISIONS


def made(preset: Any = "throughput", **options: Any) -> Any:
    given: dict[str, Any] = {
        "precision": "bf16",
        "tp": 1,
        "ep": 1,
        "attention_dp": False,
        "slots": 8,
        "max_total_tokens": 4096,
    } | options
    return compose(preset, **given)  # fmt: skip


@pytest.mark.parametrize("preset", llm_args.PRESETS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_presets(preset: Any, precision: Any) -> None:
    args = made(preset, precision=precision, tp=4, ep=4, slots=256, max_total_tokens=32768)
    assert args["model"] == "checkpoint"
    assert args["tensor_parallel_size"] == args["moe_expert_parallel_size"] == 4
    assert args["max_batch_size"] == args["cuda_graph_config"]["max_batch_size"] == 256
    assert args["max_num_tokens"] >= 256
    assert args["max_seq_len"] == 32768
    assert args["enable_chunked_prefill"] is True
    assert args["kv_cache_config"]["enable_block_reuse"] is False
    assert args["kv_cache_config"]["dtype"] == ("auto" if precision == "bf16" else "fp8")
    assert args["guided_decoding_backend"] == "xgrammar"


def test_the_scheduler_and_its_host_memory() -> None:
    """Figures by hand: 25 sliding layers of 8 heads of 256 up to 1088 tokens, 5 global ones of 2
    heads of 512, keys and values."""
    args = made(slots=3, max_total_tokens=4096)
    assert args["scheduler_config"] == {"capacity_scheduler_policy": "MAX_UTILIZATION"}
    each = 2 * 2 * (25 * 8 * 256 * 1088 + 5 * 2 * 512 * 4096)
    prompt = 2 * 2 * (25 * 8 * 256 + 5 * 2 * 512) * args["max_num_tokens"]
    assert (2 * each, prompt) == (613_416_960, 1_845_493_760)
    assert args["kv_cache_config"]["host_cache_size"] == 2 * each + prompt
    assert args["kv_cache_config"]["avg_seq_len"] == args["max_seq_len"] == 4096
    fp8 = made(slots=3, max_total_tokens=4096, precision="fp8", tp=2)
    assert fp8["kv_cache_config"]["host_cache_size"] == (2 * each + prompt) // 4
    assert made(slots=1)["kv_cache_config"]["host_cache_size"] == 0


def test_choices() -> None:
    assert "guided_decoding_backend" not in made(guided=False)
    assert made(free_gpu_memory_fraction=0.5)["kv_cache_config"]["free_gpu_memory_fraction"] == 0.5
    mtp = made(assistant=Path("assistant"))
    assert "guided_decoding_backend" not in mtp
    assert made(slots=4096, assistant=Path("assistant"))["max_num_tokens"] == 4 * 4096
    assert mtp["speculative_config"] == {
        "decoding_type": "MTP", "max_draft_len": 3, "mtp_eagle_one_model": True,
        "speculative_model": "assistant",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preset": "fast"}, "latency, throughput, long-context"),
        ({"max_total_tokens": 1024}, "at least 1025"),
        ({"tp": 4, "ep": 3}, "divisor"),
        ({"slots": 0}, "at least 1"),
        ({"free_gpu_memory_fraction": 2.0}, "at most 1"),
    ],
)
def test_what_cannot_be_composed(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(**options)


MTP = {
    "decoding_type": "MTP", "max_draft_len": 3, "mtp_eagle_one_model": True,
    "speculative_model": "assistant",
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("kv_cache_config.enable_block_reuse", True, "set it to false"),
        ("kv_cache_config.enable_block_reuse", ..., "on by default"),
        ("kv_cache_config.enable_partial_reuse", True, "set it to false"),
        ("kv_cache_config.dtype", "nvfp4", "use fp8"),
        ("kv_cache_config.max_attention_window", [1024], "leave it out"),
        ("pipeline_parallel_size", 2, "tensor_parallel_size"),
        ("context_parallel_size", 2, "tensor_parallel_size"),
        ("moe_expert_parallel_size", 3, "divisor"),
        ("moe_tensor_parallel_size", 2, "leave it out"),
        ("moe_cluster_parallel_size", 2, "moe_expert_parallel_size"),
        ("scheduler_config", {"capacity_scheduler_policy": "GUARANTEED_NO_EVICT"}, "MAX_UTILIZATION"),
        ("max_seq_len", 3000, "avg_seq_len: 4096 is more than max_seq_len, 3000"),
        ("max_seq_len", 1024, "at least 1025"),
        ("max_seq_len", None, "at least 1025"),
        ("max_seq_len", ..., "at least 1025"),
        ("max_num_tokens", 4, "raise it"),
        ("max_batch_size", None, "slots of the server"),
        ("enable_chunked_prefill", False, None),
        ("enable_lora", True, "merge the adapter"),
        ("lora_config", {"max_lora_rank": 8}, "merge the adapter"),
        ("peft_cache_config", {"host_cache_size": 8}, "merge the adapter"),
        ("moe_config.backend", "TRTLLM", "use CUTLASS"),
        ("moe_config.backend", "MARLIN", "use CUTLASS"),
        ("max_beam_width", 4, "set it to 1"),
        ("torch_compile_config", {}, "leave it out"),
        ("skip_tokenizer_init", True, "vocabulary"),
        ("encode_only", True, "set it to false"),
        ("speculative_config", MTP, "do not go together"),
        ("trust_remote_code", True, "set it to false"),
        ("custom_tokenizer", "package.module.Tokenizer", "leave it out"),
        ("post_processor_hook", "package.module.hook", "leave it out"),
        ("ray_worker_extension_cls", "package.module.Extension", "leave it out"),
        ("kv_connector_config", {"connector_module": "a", "connector_scheduler_class": "b",
                                 "connector_worker_class": "c"}, "leave it out"),
        ("env_overrides", {"LD_PRELOAD": "/tmp/x.so"}, "LD_PRELOAD could make"),
        ("env_overrides", {"PYTHONPATH": "checkpoint"}, "PYTHONPATH could make"),
        ("env_overrides", {"TRTLLM_ENABLE_PDL": "1"}, None),
        ("model", "/models/gemma", "relative"),
        ("model", "../gemma", "relative"),
        ("max_batchsize", 3, "max_batch_size"),
        ("stream_interval", "1", "an integer"),
    ],
)  # fmt: skip
def test_problems(tmp_path: Path, key: str, value: Any, says: str | None) -> None:
    """As a user meets them: in a file that was edited."""
    args = copy.deepcopy(made())
    *parents, name = key.split(".")
    inner = args
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[name]
    else:
        inner[name] = value
    file = tmp_path / "llm_args.yaml"
    file.write_text(yaml.safe_dump(args))
    if says is None:  # 4096 tokens fit one step of 8192
        assert llm_args.read(file)[name] == value
        return
    with pytest.raises(LlmArgsError) as caught:
        llm_args.read(file)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert key in str(caught.value) or key == "speculative_config"


def test_chunks_are_needed_for_long_prompts() -> None:
    args = made(max_total_tokens=32768) | {"enable_chunked_prefill": False}
    with pytest.raises(LlmArgsError, match="set it to true"):
        llm_args.check(args)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speculative_model", None),
        ("max_draft_len", 0),
        ("mtp_eagle_one_model", False),
        ("use_dynamic_tree", True),
        ("draft_len_schedule", {4: 4}),
        ("sa_config", {"threshold": 4}),
        ("use_rejection_sampling", True),
        ("use_mtp_vanilla", True),
    ],
)
def test_problems_of_the_assistant(
    key: str, value: bool | dict[int | str, int] | int | None
) -> None:
    args = made(assistant=Path("assistant"))
    llm_args.check(args)
    args["speculative_config"][key] = value
    with pytest.raises(LlmArgsError, match=f"speculative_config.{key}"):
        llm_args.check(args)


def test_write_and_read(tmp_path: Path) -> None:
    file = tmp_path / llm_args.FILE_NAME
    llm_args.write(file, made())
    assert llm_args.read(file) == made()
    assert file.read_text().startswith("# Arguments of TensorRT-LLM 1.3.0rc29")
    with pytest.raises(LlmArgsError):
        llm_args.write(file, made() | {"pipeline_parallel_size": 2})


def test_every_argument_that_names_code_is_refused() -> None:
    """A new one of the API is noticed: its type or its name says that it is code."""
    arguments = load_api()["TorchLlmArgs"].arguments
    named = re.compile(
        r"remote_code|custom|hook|_cls$|_class$|loader$|processor$|connector|session$"
    )
    assert {name for name in arguments if named.search(name)} == set(FOREIGN_CODE)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "1: 2", "\xff"], ids=list("abcde"))
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "llm_args.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(LlmArgsError, match="build again"):
        llm_args.read(file)
    with pytest.raises(LlmArgsError, match="cannot be read"):
        llm_args.read(tmp_path / "nothing")


def test_paths_are_resolved(tmp_path: Path) -> None:
    args = made(assistant=Path("assistant"))
    with pytest.raises(LlmArgsError, match=r"model: .*no config\.json"):
        llm_args.resolve(args, tmp_path)
    for name in ("checkpoint", "assistant"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    resolved = llm_args.resolve(args, tmp_path)
    assert resolved["model"] == str(tmp_path / "checkpoint")
    assert resolved["speculative_config"]["speculative_model"] == str(tmp_path / "assistant")
    assert args["model"] == "checkpoint"
