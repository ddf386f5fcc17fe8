"""What W4A8-AWQ costs a trained model. Evidence, not a product: the demo's hidden size, 192, is no
multiple of the group of 128 that TensorRT-LLM's kernels take, so the groups here are of 64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gemma4_build.checkpoint import TEXT_FILES, open_checkpoint, open_tensors
from gemma4_build.progress import SilentReporter
from gemma4_build.reference.weights import EXACT
from gemma4_build.result import BuildResult
from gemma4_build.trtllm.calibration import calibration_ids
from gemma4_build.trtllm.completeness import check_stored
from gemma4_build.trtllm.divergence import compare_weights, held_out
from gemma4_build.trtllm.folder import copy_text_files
from gemma4_build.trtllm.formats import INT4
from gemma4_build.trtllm.pad import write_padded
from gemma4_build.trtllm.ptq import quantize
from gemma4_build.trtllm.quantized import QuantizedWeights
from gemma4_build.trtllm.weight_error import check_against_source
from gemma4_build.trtllm.widths import Widths
from gemma4_build.verify.prompts import load_prompts

GROUPS_OF_64 = replace(INT4, block=64)
RECIPE = """
imports:
  base_disable_all: configs/ptq/units/base_disable_all
  default_disabled_quantizers: configs/ptq/units/default_disabled_quantizers
  fp8: configs/numerics/fp8
  kv_fp8_cast: configs/ptq/units/kv_fp8_cast
metadata: {recipe_type: ptq, description: W4A8 AWQ in groups of 64}
quantize:
  algorithm: {method: awq_lite, alpha_step: 1}
  quant_cfg:
    - $import: base_disable_all
    - quantizer_name: '*weight_quantizer'
      cfg:
        - {num_bits: 4, block_sizes: {-1: 64, type: static}}
        - $import: fp8
    - quantizer_name: '*input_quantizer'
      cfg: {$import: fp8}
    - $import: kv_fp8_cast
    - $import: default_disabled_quantizers
"""
SAMPLES = 4


def test_quality_on_the_demo(
    demo_checkpoint: Path, built: Callable[[str], BuildResult], tmp_path: Path
) -> None:
    recipe, padded = tmp_path / "awq-64.yaml", tmp_path / "padded"
    recipe.write_text(RECIPE)
    padded.mkdir()
    reporter = SilentReporter()
    with open_checkpoint(demo_checkpoint) as source:
        write_padded(source, Widths(128, 256), padded, reporter)
    copy_text_files(demo_checkpoint, padded, config=False)
    assert {path.name for path in padded.iterdir()} >= set(TEXT_FILES)
    quantize(
        padded, tmp_path / "int4", recipe=str(recipe), device="cpu", reporter=reporter,
        samples=calibration_ids(demo_checkpoint, None, samples=SAMPLES, length=512),
    )  # fmt: skip
    tokenizer = demo_checkpoint / "tokenizer.json"
    prompts = {p.text.removeprefix("<bos>"): p.ids for p in load_prompts(tokenizer, window=64)}
    # The source's own, which padding does not change.
    answers = [(prompts[a.text], a.ids) for a in built("fp8").manifest.first_tokens]
    with open_checkpoint(padded) as exact, open_tensors(tmp_path / "int4") as (stored, _):
        check_stored(exact.spec, GROUPS_OF_64, stored)
        worst = check_against_source(exact, exact.tensors, GROUPS_OF_64, stored, reporter)
        quality = compare_weights(
            exact,
            QuantizedWeights.over(exact.spec, GROUPS_OF_64, stored),
            EXACT,
            answers=answers,
            held=held_out(tokenizer),
            precision="int4",
            note="groups of 64",
            reporter=reporter,
        )
    print(
        f"relative error {worst:.3f}, mean KL {quality.mean_kl:.3f}, top-1 "
        f"{quality.top1_agreement:.3f} of {quality.positions}, perplexity "
        f"{quality.reference_perplexity:.0f} -> {quality.perplexity:.0f}"
    )
    assert worst < 0.2
    assert quality.mean_kl < 0.2 and quality.top1_agreement > 0.88
