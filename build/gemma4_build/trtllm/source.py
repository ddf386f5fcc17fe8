"""What the user gave: a bf16 checkpoint, or one that ModelOpt quantized already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_runtime.manifest import SourceFile
from gemma4_runtime.trtllm.loader.folder import PRECISION_OF

from gemma4_build.checkpoint import check_tensors, check_text_files, open_tensors, source_files
from gemma4_build.errors import BadCheckpointError, BadOptionError, QuantizationError
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.model_spec import ModelSpec, parse_config
from gemma4_build.shards import Shard
from gemma4_build.tensor_table import checkpoint_tensors
from gemma4_build.trtllm.bytes_needed import scheme_for
from gemma4_build.trtllm.completeness import check_stored
from gemma4_build.trtllm.formats import Kind, Scheme, linears
from gemma4_build.trtllm.hf_config import check_quant_config, quantization_of, read_json
from gemma4_build.trtllm.quantized import Stored
from gemma4_build.vocabulary import read_vocabulary

__all__ = ["Source", "open_source"]

_WAY_OUT = "download it again, or quantize the bf16 checkpoint"


@dataclass(frozen=True, slots=True)
class Source:
    """``quantization`` is None for bf16, and ``scheme`` then what the build shall make of it.
    ``files`` identify it in the manifest."""

    folder: Path
    spec: ModelSpec
    config: dict[str, Any]
    quantization: dict[str, Any] | None
    scheme: Scheme | None
    stored: Stored
    shards: tuple[Shard, ...]
    files: list[SourceFile]
    eos_ids: list[int]

    @property
    def tensors(self) -> Stored:
        """As :class:`gemma4_build.reference.weights.Weights`, where it is bf16."""
        return self.stored

    @property
    def fp8_cache(self) -> bool:
        """Whether the KV cache is FP8 (our own quantized checkpoints always say so)."""
        return self.quantization is None or self.quantization["kv_cache_quant_algo"] == "FP8"


@contextmanager
def open_source(folder: Path, precision: str, options: GpuOptions) -> Iterator[Source]:
    """Open and check everything: config, tokenizer, every tensor.

    Raises the kinds of :class:`BadCheckpointError`, and :class:`BadOptionError` for a precision
    that the checkpoint is not quantized to.
    """
    check_text_files(folder)
    config = read_json(folder / "config.json")
    quantization = quantization_of(folder)
    plain = {key: value for key, value in config.items() if key != "quantization_config"}
    spec = parse_config(plain, where=str(folder / "config.json"))
    eos_ids = read_vocabulary(folder, spec).eos_ids
    scheme = scheme_for(precision, options.scheme_name)
    if quantization is not None:
        _check_precision(quantization, precision, options)
    with open_tensors(folder) as (stored, shards):
        if quantization is None:
            check_tensors(checkpoint_tensors(spec), stored)
        else:
            scheme = _check_quantized(folder, spec, quantization, scheme, stored, options)
        yield Source(
            folder=folder,
            spec=spec,
            config=config,
            quantization=quantization,
            scheme=scheme,
            stored=stored,
            shards=shards,
            files=source_files(folder, shards),
            eos_ids=eos_ids,
        )


def _check_precision(quantization: dict[str, Any], precision: str, options: GpuOptions) -> None:
    algorithm = str(quantization.get("quant_algo"))
    is_precision = PRECISION_OF.get(algorithm)
    if is_precision is None:
        raise BadCheckpointError(
            f"hf_quant_config.json: quant_algo is {algorithm}, known are "
            f"{', '.join(PRECISION_OF)}; {_WAY_OUT}"
        )
    if is_precision != precision:
        raise BadOptionError(
            f"--precision {precision}: the checkpoint is quantized as {algorithm}; use --precision "
            f"{is_precision}, or give the bf16 checkpoint"
        )
    options.refuse_for_quantized()


def _check_quantized(
    folder: Path,
    spec: ModelSpec,
    quantization: dict[str, Any],
    scheme: Scheme | None,
    stored: Stored,
    options: GpuOptions,
) -> Scheme:
    assert scheme is not None
    found = Scheme(scheme.name, scheme.format, _kinds(spec, stored), scheme.algorithm, scheme.block)
    if options.quantize is not None and found.kinds != scheme.kinds:
        raise BadOptionError(
            f"--quantize {options.quantize}: the checkpoint is quantized already, its "
            f"{', '.join(sorted(found.kinds))} are; leave it out"
        )
    try:
        check_stored(spec, found, stored)
        check_quant_config(quantization, spec, found)
    except QuantizationError as error:
        raise BadCheckpointError(f"{folder}: {error}; {_WAY_OUT}") from None
    return found


def _kinds(spec: ModelSpec, stored: Stored) -> frozenset[Kind]:
    """Return what is quantized, by the first layer; the experts must be."""
    kinds: set[Kind] = {"experts"}
    for linear in linears(spec):
        tensor = stored.get(f"{linear.name}.weight")
        if tensor is not None and tensor.dtype in ("U8", "F8_E4M3"):
            kinds.add(linear.kind)
    return frozenset(kinds)
