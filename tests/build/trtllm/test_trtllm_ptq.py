"""Quantizing the demo checkpoint with ModelOpt, really."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import open_checkpoint, open_tensors
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.result import BuildResult
from gemma4_build.trtllm.completeness import check_stored
from gemma4_build.trtllm.formats import FP8, NVFP4_EXPERTS, total_bytes
from gemma4_build.trtllm.weight_error import check_against_source
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_testing.engine_folders.trtllm_build import SAMPLES, build


@pytest.mark.parametrize("name", ["fp8", "nvfp4", "nvfp4-mlp"])
def test_a_real_build(
    name: str, built: Callable[[str], BuildResult], demo_checkpoint: Path
) -> None:
    result = built(name)
    manifest, folder = result.manifest, result.path / "checkpoint"
    assert manifest.verified and manifest.quality is not None
    assert manifest.quality.positions > 50
    assert manifest.quality.perplexity is not None
    assert "simulated" in manifest.quality.reference
    assert len(manifest.first_tokens) == 10
    assert load_engine_folder(result.path, verify_hashes=True).manifest == manifest
    config = json.loads((folder / "config.json").read_text())
    source = json.loads((demo_checkpoint / "config.json").read_text())
    assert config.pop("quantization_config")["quant_method"] == "modelopt"
    if name.startswith("nvfp4"):  # 96 wide experts do not load
        assert source["text_config"]["moe_intermediate_size"] == 96
        source["text_config"]["moe_intermediate_size"] = 128
    assert config == source
    for file in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (folder / file).read_bytes() == (demo_checkpoint / file).read_bytes()
    assert not any(file.startswith(".") for file in manifest.files)
    quant = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]
    assert quant["kv_cache_quant_algo"] == "FP8"
    assert "lm_head" in quant["exclude_modules"]


def test_quantizing_imports_torch_in_the_child_only(built: Callable[[str], BuildResult]) -> None:
    built("fp8")
    import subprocess

    code = (
        "import sys, gemma4_build.pipeline, gemma4_build.trtllm.calibration\n"
        "print([m for m in ('torch', 'modelopt', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_expert_is_there(built: Callable[[str], BuildResult], wide_demo: Path) -> None:
    folder = built("nvfp4").path / "checkpoint"
    with open_checkpoint(wide_demo) as source, open_tensors(folder) as (stored, _):
        spec = source.spec
        assert check_stored(spec, NVFP4_EXPERTS, stored) == total_bytes(spec, NVFP4_EXPERTS)
        assert sum(".experts." in name for name in stored) == spec.layers * spec.experts * 3 * 4
        worst = check_against_source(
            source, source.tensors, NVFP4_EXPERTS, stored, SilentReporter()
        )
        assert 0.08 < worst < 0.11


def test_same_request_is_up_to_date(
    built: Callable[[str], BuildResult], demo_checkpoint: Path
) -> None:
    first = built("fp8")
    again = build(demo_checkpoint, first.path, "fp8", calibration_samples=SAMPLES)
    assert again.status == "up_to_date"
    with pytest.raises(errors.ExistingFolderError, match="--force"):
        build(demo_checkpoint, first.path, "fp8", calibration_samples=SAMPLES + 1)


def test_modelopt_that_fails(tiny: Path, tmp_path: Path) -> None:
    """The child's last words are in the error."""
    file = tmp_path / "calibration.jsonl"
    file.write_text('{"text": "one two three four five"}\n')
    from gemma4_build.trtllm.ptq import quantize

    with pytest.raises(errors.QuantizationError, match=r"exit status 1.: .*Error"):
        quantize(
            tiny, tmp_path / "export", recipe="general/ptq/no-such-recipe", samples=[[2, 3]],
            device="cpu", reporter=SilentReporter(),
        )  # fmt: skip


def test_padding_makes_a_split_legal(demo_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    with pytest.raises(errors.BadOptionError, match="--pad-experts"):
        build(demo_checkpoint, out, "fp8", tp=4)
    result = build(demo_checkpoint, out, "fp8", tp=4, pad_experts=True, calibration_samples=SAMPLES)
    config = json.loads((out / "checkpoint" / "config.json").read_text())["text_config"]
    assert (config["moe_intermediate_size"], config["intermediate_size"]) == (128, 256)
    assert result.manifest.verified
    assert sorted(p.name for p in tmp_path.iterdir()) == ["engine"]
    with open_tensors(out / "checkpoint") as (stored, _):
        wide = replace(_spec(demo_checkpoint), moe_intermediate=128)
        assert check_stored(wide, FP8, stored) == total_bytes(wide, FP8)


def _spec(folder: Path) -> Any:
    with open_checkpoint(folder) as checkpoint:
        return checkpoint.spec


def test_int4_is_experimental(tmp_path: Path, demo_checkpoint: Path) -> None:
    """Random weights: the demo has too few key/value heads, and its hidden size, 192, is no
    multiple of the group of 128."""
    with pytest.raises(errors.BadOptionError, match="takes the 1 packed key/value heads for 0"):
        build(demo_checkpoint, tmp_path / "engine", "int4")
    source = tmp_path / "source"
    narrow = replace(PRESETS["tiny"], intermediate=192, moe_intermediate=96)
    preset = replace(narrow, hidden=256, global_kv_heads=2)
    write_checkpoint(source, preset, tokenizer=demo_checkpoint)
    out = tmp_path / "engine"
    result = build(source, out, "int4", calibration_samples=SAMPLES, skip_verify=True)
    assert "nobody has run it" in result.manifest.experimental
    config = json.loads((out / "checkpoint" / "config.json").read_text())
    text = config["text_config"]
    assert (text["moe_intermediate_size"], text["intermediate_size"]) == (128, 256)
    assert config["quantization_config"]["quant_algo"] == "W4A8_AWQ"
