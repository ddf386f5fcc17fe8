"""Every folder that the build can write, held against what TensorRT-LLM's loader does with it.

The rules over sizes, which the table, the build and the start ask, must say the same as the rules
over tensors, which follow the loader from tensor to tensor.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.errors import BadOptionError
from gemma4_build.model_spec import ModelSpec, parse_config, read_config
from gemma4_build.random_checkpoint import PRESETS, config_for
from gemma4_build.trtllm.bytes_needed import scheme_for
from gemma4_build.trtllm.formats import checkpoint_parts
from gemma4_build.trtllm.widths import check_split, cut_of, padded, shape_of
from gemma4_runtime.trtllm.compatibility import SPLITS, verdict
from gemma4_runtime.trtllm.gpus import GPUS
from gemma4_runtime.trtllm.loader.rules import FOLDER_RULES, SPLIT_RULES, inner_sizes, violations
from gemma4_runtime.trtllm.loader.tensors import tensor_problems
from gemma4_runtime.trtllm.setup import PRECISIONS

KINDS = [(p, "experts") for p in PRECISIONS] + [("nvfp4", "mlp")]
ROOT = Path(__file__).parents[3]
OF_THE_CUT = tuple(rule for rule in SPLIT_RULES + FOLDER_RULES if rule is not inner_sizes)
"""Without the hidden size and the attention, which no tensor of an MLP shows."""


def spec_of(model: str) -> ModelSpec:
    if model == "demo":
        return read_config(ROOT / "demo" / "checkpoint")
    return parse_config(config_for(PRESETS["26b"], 262144), where="26b")


def loads(spec: ModelSpec, precision: str, quantize: str, tp: int, ep: int) -> list[str]:
    scheme = scheme_for(precision, quantize)
    few = replace(spec, experts=8)  # all experts of a layer are alike
    tensors = {part.name: (part.dtype, part.shape) for part in checkpoint_parts(few, scheme)}
    full = frozenset(layer for layer, sliding in enumerate(spec.sliding) if not sliding)
    cut = cut_of(precision, scheme, tp=tp, ep=ep)
    return list(tensor_problems(tensors, shape_of(spec), cut, full))


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize(("precision", "quantize"), KINDS)
@pytest.mark.parametrize("model", ["demo", "26b"])
def test_sizes_and_tensors_agree(model: str, precision: str, quantize: str, pad: bool) -> None:
    spec, scheme = spec_of(model), scheme_for(precision, quantize)
    seen = set()
    for tp, ep in SPLITS:
        if spec.heads % tp or spec.experts % ep:
            continue
        here = spec
        if pad:
            here = padded(spec, precision, scheme, tp=tp, ep=ep).apply(spec)
        found = violations(shape_of(here), cut_of(precision, scheme, tp=tp, ep=ep), OF_THE_CUT)
        assert bool(found) == bool(loads(here, precision, quantize, tp, ep)), (tp, ep, found)
        seen.add(bool(found))
        assert not pad or not any(v.mend.endswith("width") for v in found), (tp, ep)
    assert seen


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("gpu", GPUS)
def test_what_the_table_does_not_refuse_loads(gpu: str, pad: bool) -> None:
    """A "no" for the sizes has a reason; all else satisfies the rules, and the build agrees."""
    spec = spec_of("26b")
    for (precision, quantize), (tp, ep) in itertools.product(KINDS, SPLITS):
        options: Any = {"precision": precision, "nvfp4_scope": quantize, "tp": tp, "ep": ep}
        found = verdict(gpu=gpu, pad=pad, **options)
        scheme = scheme_for(precision, quantize)
        wide = spec
        if pad or precision == "int4":
            wide = padded(spec, precision, scheme, tp=tp, ep=ep).apply(spec)
        try:
            check_split(wide, precision, scheme, tp=tp, ep=ep)
        except BadOptionError as error:
            assert found.status == "no" and found.reason and found.way_out
            assert "use --" in str(error) or "smaller --tp" in str(error)
        else:
            assert not violations(shape_of(wide), cut_of(precision, scheme, tp=tp, ep=ep))


@pytest.mark.parametrize(
    ("precision", "tp", "ep", "pad", "words"),
    [
        ("nvfp4", 1, 1, False, "96 wide on each GPU"),
        ("nvfp4", 1, 1, True, ""),
        ("nvfp4", 2, 2, True, ""),
        ("fp8", 1, 1, False, ""),
        ("bf16", 2, 1, False, ""),
        ("int4", 1, 1, True, "key/value heads"),
    ],
)
def test_the_demo(precision: str, tp: int, ep: int, pad: bool, words: str) -> None:
    spec, scheme = spec_of("demo"), scheme_for(precision)
    if pad:
        spec = padded(spec, precision, scheme, tp=tp, ep=ep).apply(spec)
    if not words:
        check_split(spec, precision, scheme, tp=tp, ep=ep)
        return
    with pytest.raises(BadOptionError, match=words) as caught:
        check_split(spec, precision, scheme, tp=tp, ep=ep)
    assert "--ep 1" not in str(caught.value).partition(";")[2]  # that is what was asked for
