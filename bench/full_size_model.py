"""An engine folder of random int4 weights with published shapes, made without a checkpoint.

``gemma4 build`` reads the weights of a checkpoint slice by slice; here each slice is drawn when it
is read. So 51.6 GB need not lie on a disk, and the memory is that of a build: some 200 MB.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from gemma4_build.checkpoint import Checkpoint
from gemma4_build.model_spec import ModelSpec
from gemma4_build.pipeline import build_gguf
from gemma4_build.precision import PRECISIONS, gguf_type, stored_bytes
from gemma4_build.progress import Reporter
from gemma4_build.random_checkpoint import PRESETS, spread_of, to_bf16, write_text_files
from gemma4_build.request import BuildRequest
from gemma4_build.shards import Shard, StoredTensor
from gemma4_build.tensor_table import EMBEDDING, TensorRule, checkpoint_tensors
from gemma4_runtime.manifest import Manifest

__all__ = ["active_bytes", "make_engine"]

_BLOCK = 4 << 20
"""Random numbers that are drawn once and then turned: drawing 25 billion takes minutes."""


@dataclass(frozen=True, slots=True)
class RandomTensor(StoredTensor):
    """A tensor whose elements are drawn when they are read. The same elements are the same."""

    spread: float = 1.0
    center: float = 0.0

    def read(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.uint8]:
        """Return the bf16 bytes of ``count`` elements, at most 4 M, from ``first`` on."""
        count = self.size - first if count is None else count
        turns = np.random.Generator(np.random.SFC64([first, *self.name.encode()]))
        start = int(turns.integers(_BLOCK))
        drawn = _NORMAL[start : start + count] * np.float32(self.spread) + np.float32(self.center)
        return to_bf16(drawn).view(np.uint8)


_NORMAL = np.tile(
    np.random.Generator(np.random.SFC64(0)).standard_normal(_BLOCK, dtype=np.float32), 2
)


def make_engine(
    out: Path, *, preset: str, layers: int | None, tokenizer: Path, slots: int, tokens: int,
    prefill_batch: int | None, reporter: Reporter,
) -> Manifest:  # fmt: skip
    """Build ``out`` as ``gemma4 build --precision int4 --skip-verify`` would, or only bring its
    limits up to date. Raises what a build raises."""
    sizes = PRESETS[preset]
    sizes = replace(sizes, layers=layers or sizes.layers)
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / preset
        spec = write_text_files(texts, sizes, tokenizer=tokenizer)
        rules = checkpoint_tensors(spec)
        tensors = {rule.name: _tensor(rule, spec) for rule in rules}
        request = BuildRequest(
            checkpoint=texts, out=out, precision="int4", slots=slots, max_total_tokens=tokens,
            prefill_batch=prefill_batch, skip_verify=True,
        )  # fmt: skip
        checkpoint = Checkpoint(texts, spec, rules, tensors, ())
        return build_gguf(request, checkpoint, reporter).manifest


def _tensor(rule: TensorRule, spec: ModelSpec) -> RandomTensor:
    spread, center = spread_of(rule, spec.layers)
    nowhere = cast(Shard, None)
    return RandomTensor(rule.name, "BF16", rule.shape, nowhere, 0, spread, center)


def active_bytes(preset: str, layers: int | None, vocab: int) -> int:
    """Return the bytes of int4 weights that are read for one token: of the experts those that a
    token goes to, of the embedding all of it, as the output matrix."""
    from gemma4_build.model_spec import parse_config
    from gemma4_build.random_checkpoint import config_for

    sizes = PRESETS[preset]
    sizes = replace(sizes, layers=layers or sizes.layers)
    spec = parse_config(config_for(sizes, vocab), where=preset)
    total = 0.0
    for rule in checkpoint_tensors(spec):
        if rule.kind == "unused":
            continue
        size = stored_bytes(rule.shape, gguf_type(rule, PRECISIONS["int4"]))
        routed = len(rule.shape) == 3 and rule.name != EMBEDDING
        total += size * (spec.experts_per_token / spec.experts if routed else 1.0)
    return math.ceil(total)
