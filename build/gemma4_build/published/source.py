"""A GGUF file that was opened, and proven to be of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from gemma4_runtime.manifest import SourceFile
from gemma4_runtime.one_line import one_line

from gemma4_build.checkpoint import check_text_files, sampled_digest, source_files
from gemma4_build.errors import MisshapenTensorError
from gemma4_build.gguf_tensors import ROPE_FACTORS, rope_factors
from gemma4_build.model_spec import ModelSpec, read_config
from gemma4_build.published.head import GgufHead, read_head
from gemma4_build.published.keys import check_keys
from gemma4_build.published.stored import check_stored
from gemma4_build.published.tokens import check_vocabulary
from gemma4_build.request import BuildRequest
from gemma4_build.shards import Shard, open_file
from gemma4_build.vocabulary import Vocabulary, read_vocabulary

__all__ = ["Published", "open_published"]


@dataclass(frozen=True, slots=True)
class Published:
    """A GGUF file that was proven to be of the model, and what its head was compared with."""

    file: Shard
    head: GgufHead
    spec: ModelSpec
    vocabulary: Vocabulary
    sources: list[SourceFile]


@contextmanager
def open_published(request: BuildRequest) -> Iterator[Published]:
    """Open, check and finally close. Raises the kinds of :class:`BadCheckpointError`."""
    folder = request.text_folder
    check_text_files(folder, weights=False)
    spec = read_config(folder)
    vocabulary = read_vocabulary(folder, spec, literal_bytes=request.literal_bytes)
    path = request.checkpoint
    with closing(open_file(path)) as file:
        head = read_head(file)
        check_keys(path, head.keys, spec)
        check_stored(path, head.tensors, spec)
        check_vocabulary(path, head.keys, vocabulary)
        _check_rope(file, head, spec)
        digest = sampled_digest(file, file.read(0, head.data_start).tobytes())
        sources = source_files(folder, ())
        sources.append(
            SourceFile(name=one_line(path.name), size=file.size, sha256=digest, sampled=True)
        )
        yield Published(file, head, spec, vocabulary, sources)


def _check_rope(file: Shard, head: GgufHead, spec: ModelSpec) -> None:
    stored = next(tensor for tensor in head.tensors if tensor.name == ROPE_FACTORS)
    raw = file.read(head.data_start + stored.offset, stored.size)
    if not np.array_equal(raw.view(np.float32), rope_factors(spec)):
        raise MisshapenTensorError(
            f"{file.path}: {ROPE_FACTORS} has other values than partial_rotary_factor of "
            "config.json gives; take a file that llama.cpp's converter made"
        )
