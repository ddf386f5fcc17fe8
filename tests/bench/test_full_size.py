"""The engine folder of ``make bench-26b`` is what a build of a checkpoint gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from full_size_model import active_bytes, make_engine
from gemma4_build.progress import SilentReporter
from gemma4_runtime.engine_folder import load_engine_folder
from gguf import GGUFReader

DEMO = Path("demo/checkpoint").resolve()


def test_an_engine_without_a_checkpoint(tmp_path: Path) -> None:
    for _ in range(2):  # the second time it is up to date
        manifest = make_engine(
            tmp_path / "e", preset="tiny", layers=3, tokenizer=DEMO, slots=2, tokens=256,
            prefill_batch=None, reporter=SilentReporter(),
        )  # fmt: skip
    assert load_engine_folder(tmp_path / "e", verify_hashes=True).manifest == manifest
    tensors = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "e/model.gguf").tensors}
    norms = np.array(tensors["blk.0.attn_norm.weight"].data)
    assert norms.std() == pytest.approx(0.1, rel=0.3) and norms.mean() == pytest.approx(1, abs=0.1)
    first, second = (tensors[f"blk.{n}.attn_q.weight"].data.tobytes() for n in (0, 1))
    assert first != second


def test_what_a_token_of_the_26b_reads() -> None:
    """2.5 GB of int4: 3.8 billion parameters at 4.5 bits, the output matrix at 8.5."""
    assert active_bytes("26b", None, 262144) == pytest.approx(2.54e9, rel=0.01)
