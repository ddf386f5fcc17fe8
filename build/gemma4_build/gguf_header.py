"""The head of the GGUF file: keys and tensor infos, written by the ``gguf`` library.

Keys: llama.cpp ``conversion/gemma.py`` and ``src/models/gemma4.cpp`` (load_arch_hparams).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter

from gemma4_build.model_spec import ModelSpec
from gemma4_build.precision import Precision, gguf_type, stored_bytes
from gemma4_build.tensor_table import TensorRule
from gemma4_build.text_files import GenerationConfig
from gemma4_build.vocabulary import Vocabulary

__all__ = ["PlannedTensor", "plan_tensors", "rope_factors", "write_header"]

ALIGNMENT = 32
"""Bytes to whose multiples each tensor's data is aligned: GGUF's default."""
_NOT_ROTATED = 1e30
"""Divisor of the frequencies of a full layer's unrotated pairs (generate_extra_tensors)."""


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """A tensor of the file. ``source`` is None for the rope factors, which no checkpoint has.
    ``offset`` counts from the start of the tensor data; ``size`` is without padding."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    source: str | None
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + -self.size % ALIGNMENT


def rope_factors(spec: ModelSpec) -> npt.NDArray[np.float32]:
    """Return the frequency divisors of the full layers, [global_head_dim / 2]."""
    factors = np.full(spec.global_head_dim // 2, _NOT_ROTATED, dtype=np.float32)
    factors[: spec.rotated_pairs] = 1.0
    return factors


def plan_tensors(
    spec: ModelSpec, rules: tuple[TensorRule, ...], precision: Precision
) -> list[PlannedTensor]:
    """Return the tensors of the file in order, with types and offsets."""
    planned: list[PlannedTensor] = []

    def add(
        name: str, shape: tuple[int, ...], kind: GGMLQuantizationType, source: str | None
    ) -> None:
        offset = planned[-1].end if planned else 0
        planned.append(PlannedTensor(name, shape, kind, source, offset, stored_bytes(shape, kind)))

    add("rope_freqs.weight", (spec.global_head_dim // 2,), GGMLQuantizationType.F32, None)
    for rule in rules:
        if rule.kind != "unused":
            add(rule.gguf, rule.shape, gguf_type(rule, precision), rule.name)
    return planned


def write_header(
    path: Path,
    *,
    name: str,
    spec: ModelSpec,
    vocabulary: Vocabulary,
    precision: Precision,
    tensors: list[PlannedTensor],
    literal_bytes: bool,
) -> int:
    """Write everything before the tensor data; returns its length, aligned. Same arguments give
    the same bytes. Raises :class:`OSError`."""
    writer = GGUFWriter(path, "gemma4")
    _general_keys(writer, name, precision, vocabulary.sampling)
    _model_keys(writer, spec)
    _tokenizer_keys(writer, vocabulary, literal_bytes=literal_bytes)
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


def _general_keys(
    writer: GGUFWriter, name: str, precision: Precision, sampling: GenerationConfig
) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(precision.file_type)
    writer.add_quantization_version(2)
    writer.add_sampling_temp(sampling.temperature)
    writer.add_sampling_top_k(sampling.top_k)
    writer.add_sampling_top_p(sampling.top_p)


def _model_keys(writer: GGUFWriter, spec: ModelSpec) -> None:
    writer.add_block_count(spec.layers)
    writer.add_context_length(spec.context)
    writer.add_embedding_length(spec.hidden)
    writer.add_feed_forward_length(spec.intermediate)
    writer.add_head_count(spec.heads)
    writer.add_head_count_kv([spec.layer_kv_heads(n) for n in range(spec.layers)])
    writer.add_key_length(spec.global_head_dim)
    writer.add_value_length(spec.global_head_dim)
    writer.add_key_length_swa(spec.head_dim)
    writer.add_value_length_swa(spec.head_dim)
    writer.add_layer_norm_rms_eps(spec.eps)
    writer.add_sliding_window(spec.window)
    writer.add_sliding_window_pattern(list(spec.sliding))
    writer.add_shared_kv_layers(0)
    writer.add_embedding_length_per_layer_input(0)
    writer.add_expert_count(spec.experts)
    writer.add_expert_used_count(spec.experts_per_token)
    writer.add_expert_feed_forward_length(spec.moe_intermediate)
    writer.add_rope_dimension_count(spec.global_head_dim)
    writer.add_rope_dimension_count_swa(spec.head_dim)
    writer.add_rope_freq_base(spec.global_rope_theta)
    writer.add_rope_freq_base_swa(spec.rope_theta)
    writer.add_final_logit_softcapping(spec.softcap)


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
