"""The head of the GGUF file: keys and tensor infos, written by the ``gguf`` library.

Keys: llama.cpp ``conversion/gemma.py`` and ``src/models/gemma4.cpp`` (load_arch_hparams).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from gemma4_build.gguf_tensors import ALIGNMENT
from gemma4_build.model_spec import ModelSpec
from gemma4_build.text_files import GenerationConfig
from gemma4_build.vocabulary import Vocabulary

__all__ = ["ARCHITECTURE", "FileTensor", "model_keys", "padding_for", "write_header"]

ARCHITECTURE = "gemma4"
"""llama.cpp's name of it, with which the keys of the model begin."""
_PADDING_KEY = "gemma4_triton.padding"
"""Of spaces that nobody reads: see :func:`padding_for`."""


class FileTensor(Protocol):
    """What the head says of a tensor."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def kind(self) -> GGMLQuantizationType: ...
    @property
    def size(self) -> int: ...


def write_header(
    path: Path,
    *,
    name: str,
    spec: ModelSpec,
    vocabulary: Vocabulary,
    file_type: int,
    tensors: Sequence[FileTensor],
    literal_bytes: bool,
    padding: int = 0,
) -> int:
    """Write everything before the tensor data; returns its length, aligned. Same arguments give
    the same bytes. ``tensors`` lie one after another. ``padding``: see :func:`padding_for`. Raises
    :class:`OSError`."""
    writer = GGUFWriter(path, ARCHITECTURE)
    _general_keys(writer, name, file_type, vocabulary.sampling)
    for key, value in model_keys(spec).items():
        _add(writer, key, value)
    _tokenizer_keys(writer, vocabulary, literal_bytes=literal_bytes)
    writer.add_string(_PADDING_KEY, " " * padding)
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), tensor.size, raw_dtype=tensor.kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % ALIGNMENT))
        return file.tell()


def padding_for(length: int, like: int, block: int) -> int:
    """Return the ``padding`` with which a head of ``length`` bytes ends as far into a block of
    ``block`` bytes as one of ``like`` bytes does; all of them are multiples of the alignment."""
    key = 8 + len(_PADDING_KEY) + 4 + 8
    return (like - length - key) % block or block


def _general_keys(
    writer: GGUFWriter, name: str, file_type: int, sampling: GenerationConfig
) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    writer.add_sampling_temp(sampling.temperature)
    writer.add_sampling_top_k(sampling.top_k)
    writer.add_sampling_top_p(sampling.top_p)


def model_keys(spec: ModelSpec) -> dict[str, int | float | list[int] | list[bool]]:
    """Return all hyper-parameters as the file has them, in its order."""
    keys: dict[str, int | float | list[int] | list[bool]] = {
        "block_count": spec.layers,
        "context_length": spec.context,
        "embedding_length": spec.hidden,
        "feed_forward_length": spec.intermediate,
        "attention.head_count": spec.heads,
        "attention.head_count_kv": [spec.layer_kv_heads(n) for n in range(spec.layers)],
        "attention.key_length": spec.global_head_dim,
        "attention.value_length": spec.global_head_dim,
        "attention.key_length_swa": spec.head_dim,
        "attention.value_length_swa": spec.head_dim,
        "attention.layer_norm_rms_epsilon": spec.eps,
        "attention.sliding_window": spec.window,
        "attention.sliding_window_pattern": list(spec.sliding),
        "attention.shared_kv_layers": 0,
        "embedding_length_per_layer_input": 0,
        "expert_count": spec.experts,
        "expert_used_count": spec.experts_per_token,
        "expert_feed_forward_length": spec.moe_intermediate,
        "rope.dimension_count": spec.global_head_dim,
        "rope.dimension_count_swa": spec.head_dim,
        "rope.freq_base": spec.global_rope_theta,
        "rope.freq_base_swa": spec.rope_theta,
        "final_logit_softcapping": spec.softcap,
    }
    return {f"{ARCHITECTURE}.{key}": value for key, value in keys.items()}


def _add(writer: GGUFWriter, key: str, value: int | float | list[int] | list[bool]) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


def _tokenizer_keys(writer: GGUFWriter, vocabulary: Vocabulary, *, literal_bytes: bool) -> None:
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_scores([-1000.0] * len(vocabulary.tokens))
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.special["bos"])
    writer.add_eos_token_id(vocabulary.special["eos"])
    writer.add_unk_token_id(vocabulary.special["unk"])
    writer.add_pad_token_id(vocabulary.special["pad"])
    writer.add_mask_token_id(vocabulary.special["mask"])
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(True)
    writer.add_chat_template(vocabulary.chat_template)
    writer.add_string("gemma4_triton.byte_tokens", "literal" if literal_bytes else "byte")
