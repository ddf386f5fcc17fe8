"""A padded checkpoint computes what the original does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.progress import SilentReporter
from gemma4_build.reference import reference_logits
from gemma4_build.trtllm.folder import copy_text_files
from gemma4_build.trtllm.pad import write_padded
from gemma4_build.trtllm.widths import Widths

TO = Widths(128, 320)
PROMPTS = [[2, *range(500, 590)], [2, 700, 701, 702]]


@pytest.fixture(scope="module", params=["demo", "shards"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    name = {"demo": "demo_checkpoint", "shards": "sharded_source"}[request.param]
    source, out = request.getfixturevalue(name), tmp_path_factory.mktemp("padded") / "checkpoint"
    out.mkdir()
    with open_checkpoint(source) as checkpoint:
        write_padded(checkpoint, TO, out, SilentReporter())
    copy_text_files(source, out, config=False)
    return source, out


def test_the_reference_gives_the_same(pair: tuple[Path, Path]) -> None:
    found = []
    for folder in pair:
        with open_checkpoint(folder) as checkpoint:
            found.append(
                reference_logits(checkpoint, PROMPTS, last=[20, 4], reporter=SilentReporter())
            )
    for one, other in zip(*found, strict=True):
        # Longer sums are added up in another order: rounding only.
        assert np.abs(one - other).max() < 1e-4


def test_padding_is_zeros_and_the_rest_is_the_source(pair: tuple[Path, Path]) -> None:
    with open_checkpoint(pair[0]) as source, open_checkpoint(pair[1]) as wide:
        old, width, experts = source.spec, wide.spec.moe_intermediate, source.spec.experts
        assert (width, wide.spec.intermediate) == (TO.moe, TO.dense)
        for name, tensor in source.tensors.items():
            other = wide.tensors[name]
            if other.shape == tensor.shape:
                assert np.array_equal(tensor.read(), other.read())
                continue
            a, b = (t.read_float32().reshape(t.shape) for t in (tensor, other))
            if name.endswith("gate_up_proj"):
                a, b = (x.reshape(experts, 2, -1, old.hidden) for x in (a, b))
            cut = tuple(slice(0, n) for n in a.shape)
            assert np.array_equal(b[cut], a)
            assert np.count_nonzero(b) == np.count_nonzero(a)


def test_transformers_gives_the_same(pair: tuple[Path, Path]) -> None:
    import torch
    from transformers import Gemma4ForConditionalGeneration

    found = []
    for folder in pair:
        model = Gemma4ForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        with torch.no_grad():
            found.append(model(torch.tensor(PROMPTS[:1])).logits[0].numpy())
    assert found[0].std() > 0.5
    assert np.abs(found[0] - found[1]).max() < 1e-4
