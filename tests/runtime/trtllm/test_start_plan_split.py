"""An edited split is held against the loader's rules before anything is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.start_plan import make_plan


def folder(tmp_path: Path, algorithm: str | None, tp: int, ep: int, **sizes: int) -> Path:
    text = {
        "hidden_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 8,
        "num_global_key_value_heads": 2, "head_dim": 256, "global_head_dim": 512,
        "num_experts": 128, "moe_intermediate_size": 704, "intermediate_size": 2112,
    } | sizes  # fmt: skip
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps({"text_config": text}))
    if algorithm is not None:
        quantization = {"quant_algo": algorithm, "exclude_modules": ["*.mlp.*"]}
        path = tmp_path / "checkpoint" / "hf_quant_config.json"
        path.write_text(json.dumps({"quantization": quantization}))
    args = llm_args.compose(
        "latency", precision="bf16", tp=tp, ep=ep, attention_dp=False, slots=4,
        max_total_tokens=2048,
    )  # fmt: skip
    llm_args.write(tmp_path / llm_args.FILE_NAME, args)
    return tmp_path


def plan(path: Path, tp: int) -> Any:
    ids = ",".join(map(str, range(tp)))
    return make_plan(path, slots=4, max_total_tokens=2048, gpu_device_ids=ids)


@pytest.mark.parametrize(
    ("algorithm", "tp", "ep", "sizes", "key"),
    [
        ("NVFP4", 2, 1, {}, "moe_expert_parallel_size"),
        ("NVFP4", 4, 2, {}, "moe_expert_parallel_size"),
        ("FP8", 4, 1, {}, "moe_expert_parallel_size"),
        ("W4A8_AWQ", 2, 2, {"moe_intermediate_size": 768}, "tensor_parallel_size"),
        (None, 3, 1, {}, "tensor_parallel_size"),
        ("FP99", 1, 1, {}, "model"),
        (None, 1, 1, {"num_experts": 0}, "model"),
    ],
)
def test_refused(
    algorithm: str | None, tp: int, ep: int, sizes: dict[str, int], key: str, tmp_path: Path
) -> None:
    with pytest.raises(llm_args.LlmArgsError) as caught:
        plan(folder(tmp_path, algorithm, tp, ep, **sizes), tp)
    assert caught.value.key == key and "build again" in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "tp", "ep", "sizes"),
    [
        ("NVFP4", 1, 1, {}),
        ("NVFP4", 2, 2, {}),
        ("NVFP4", 2, 1, {"moe_intermediate_size": 768}),
        ("FP8", 2, 1, {}),
        (None, 8, 1, {}),
    ],
)
def test_taken(
    algorithm: str | None, tp: int, ep: int, sizes: dict[str, int], tmp_path: Path
) -> None:
    assert plan(folder(tmp_path, algorithm, tp, ep, **sizes), tp).args["tensor_parallel_size"] == tp


@pytest.mark.parametrize(
    ("excluded", "says"),
    [
        (["*.mlp.*"], ""),
        ([], "nvfp4 dense MLP 528 wide"),
        (["lm_head"], "nvfp4 dense MLP 528 wide"),
    ],
)
def test_a_dense_mlp_counts_as_it_is_stored(excluded: list[str], says: str, tmp_path: Path) -> None:
    made = folder(tmp_path, "NVFP4", 4, 4)
    quantization = {"quantization": {"quant_algo": "NVFP4", "exclude_modules": excluded}}
    (made / "checkpoint" / "hf_quant_config.json").write_text(json.dumps(quantization))
    if not says:
        assert plan(made, 4).args["tensor_parallel_size"] == 4
        return
    with pytest.raises(llm_args.LlmArgsError, match=says):
        plan(made, 4)
