"""A Hugging Face checkpoint folder: config, shards, and the proof that every tensor fits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.manifest import SourceFile
from gemma4_runtime.strict_json import JsonFileError, read_object

from gemma4_build.data_only import PICKLES, check_data_only, is_pickle, pickled
from gemma4_build.errors import (
    BadIndexError,
    MisshapenTensorError,
    MissingFileError,
    MissingTensorError,
    UnknownTensorError,
)
from gemma4_build.model_spec import ModelSpec, read_config
from gemma4_build.shards import ITEM_SIZE, Shard, StoredTensor, open_shard
from gemma4_build.tensor_table import TensorRule, checkpoint_tensors

__all__ = [
    "GIVE_FOLDER",
    "TEXT_FILES",
    "Checkpoint",
    "check_tensors",
    "check_text_files",
    "open_checkpoint",
    "open_tensors",
    "sampled_digest",
    "source_files",
]

TEXT_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
"""Copied into every engine folder as they are."""

GIVE_FOLDER = (
    "download a safetensors checkpoint of the model (google/gemma-4-26B-A4B-it, or for int4 "
    "google/gemma-4-26B-A4B-it-qat-q4_0-unquantized) and give its folder"
)
"""The way out wherever something else than a checkpoint was given."""
_GIVE_FILE = "for an engine from it give the file itself, and --tokenizer"
"""The way out where a folder has a GGUF file only."""

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_SAMPLES, _SAMPLE_BYTES = 64, 65536


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An opened and fully checked checkpoint. ``rules`` covers exactly the keys of ``tensors``."""

    folder: Path
    spec: ModelSpec
    rules: tuple[TensorRule, ...]
    tensors: Mapping[str, StoredTensor]
    shards: tuple[Shard, ...]


@contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """Open, check and finally close. Raises the :class:`BadCheckpointError` kinds."""
    check_text_files(folder)
    spec = read_config(folder)
    with open_tensors(folder) as (tensors, shards):
        rules = checkpoint_tensors(spec)
        check_tensors(rules, tensors)
        yield Checkpoint(folder, spec, rules, tensors, shards)


@contextmanager
def open_tensors(folder: Path) -> Iterator[tuple[Mapping[str, StoredTensor], tuple[Shard, ...]]]:
    """Open all tensors of a folder by name, and its shards: the index is checked, names and shapes
    are not. Raises :class:`MissingFileError`, :class:`BadIndexError`, :class:`TruncatedFileError`,
    :class:`BadCheckpointError`."""
    with ExitStack() as stack:
        shards = []
        for path in _shard_paths(folder):
            shards.append(open_shard(path))
            stack.callback(shards[-1].close)
        yield _merge(folder, shards), tuple(shards)


def check_text_files(folder: Path, *, weights: bool = True) -> None:
    """Raise :class:`MissingFileError` unless all of :data:`TEXT_FILES` are there, and
    :class:`UnsupportedModelError` where one of them names code to be run. ``weights``: safetensors
    are wanted too, so that it is said where there is a GGUF file instead."""
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: not a folder; {GIVE_FOLDER}")
    gguf = sorted(path.name for path in folder.glob("*.gguf"))
    if weights and gguf and not any(folder.glob("*.safetensors")):
        raise MissingFileError(
            f"{folder}: has {gguf[0]} and no safetensors; {_GIVE_FILE}; or {GIVE_FOLDER}"
        )
    for name in TEXT_FILES:
        if not (folder / name).is_file():
            raise MissingFileError(f"{folder / name}: not found; download the whole checkpoint")
    check_data_only(folder)


def check_tensors(rules: tuple[TensorRule, ...], tensors: Mapping[str, StoredTensor]) -> None:
    """Check that every rule has its tensor, every tensor its rule, every shape and type is
    right."""
    known = {rule.name: rule for rule in rules}
    unknown = sorted(set(tensors) - set(known))
    if unknown:
        tensor = tensors[unknown[0]]
        hint = "; untied output weights are not supported" if "lm_head" in unknown[0] else ""
        raise UnknownTensorError(
            f"{tensor.shard.path}: unknown tensor {tensor.name} {list(tensor.shape)}"
            f"{_more(unknown)}; config.json describes another model{hint}: "
            "download the whole checkpoint again"
        )
    missing = sorted(set(known) - set(tensors))
    if missing:
        vision = missing[0].startswith(("model.vision_tower.", "model.embed_vision."))
        way_out = (
            "set vision_config to null in config.json if the checkpoint is text only"
            if vision
            else "download the whole checkpoint"
        )
        raise MissingTensorError(f"missing tensor {missing[0]}{_more(missing)}; {way_out}")
    for name, tensor in tensors.items():
        wanted = known[name].shape
        if tensor.shape != wanted:
            raise MisshapenTensorError(
                f"{tensor.shard.path}: {name} has shape {list(tensor.shape)}, config.json "
                f"says {list(wanted)}; the files do not belong together: download them again"
            )
        if tensor.dtype not in ITEM_SIZE:
            raise MisshapenTensorError(
                f"{tensor.shard.path}: {name} is {tensor.dtype}, need one of "
                f"{', '.join(ITEM_SIZE)}; build from the bf16 checkpoint"
            )


def source_files(folder: Path, shards: tuple[Shard, ...]) -> list[SourceFile]:
    """Return the identity of every file: whole SHA-256 of the small ones; for shards the SHA-256 of
    size, header and 64 samples of 64 KiB, since hashing 50 GB takes longer than converting it."""
    found = []
    for name in (*TEXT_FILES, _INDEX):
        path = folder / name
        if path.is_file():
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            found.append(SourceFile(name=name, size=len(data), sha256=digest, sampled=False))
    for shard in shards:
        digest = sampled_digest(shard, shard.header_bytes)
        found.append(SourceFile(name=shard.path.name, size=shard.size, sha256=digest, sampled=True))
    return found


def sampled_digest(shard: Shard, head: bytes) -> str:
    """Return the SHA-256 of the size of a file, its ``head`` and 64 samples of 64 KiB."""
    digest = hashlib.sha256(shard.size.to_bytes(8, "little"))
    digest.update(head)
    last = max(0, shard.size - _SAMPLE_BYTES)
    for offset in sorted({last * n // (_SAMPLES - 1) for n in range(_SAMPLES)}):
        digest.update(shard.read(offset, min(_SAMPLE_BYTES, shard.size - offset)).data)
    return digest.hexdigest()


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _shard_paths(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        return [folder / name for name in sorted(set(_weight_map(folder).values()))]
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        raise BadIndexError(
            f"{folder / _INDEX}: not found, but there is {others[0]}{_more(others)}; "
            "download the index too"
        )
    problem = pickled(folder) or f"not a safetensors checkpoint; {GIVE_FOLDER}"
    raise MissingFileError(f"{folder}: no {_SINGLE} and no {_INDEX}; {problem}")


def _weight_map(folder: Path) -> dict[str, str]:
    path = folder / _INDEX
    try:
        pairs = read_object(path).get("weight_map")
    except (OSError, JsonFileError) as error:
        raise BadIndexError(f"{path}: bad index ({error}); download it again") from None
    if not isinstance(pairs, dict) or not pairs:
        raise BadIndexError(f"{path}: bad index (weight_map names no file); download it again")
    for tensor, name in pairs.items():
        if isinstance(name, str) and is_pickle(name):
            raise BadIndexError(f"{path}: says {tensor} is in {name!r}; {PICKLES}")
        if not isinstance(name, str) or Path(name).name != name or not name.isprintable():
            raise BadIndexError(
                f"{path}: says {tensor} is in {name!r}, which is not a file of this folder; "
                "download it again"
            )
    return pairs


def _merge(folder: Path, shards: list[Shard]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        for name, tensor in shard.tensors.items():
            if name in tensors:
                other = tensors[name].shard.path.name
                raise BadIndexError(
                    f"{folder}: {name} is in both {other} and {shard.path.name}; "
                    "download the checkpoint again"
                )
            tensors[name] = tensor
    if not (folder / _INDEX).is_file():
        return tensors
    index = _weight_map(folder)
    for name, file in index.items():
        if name not in tensors or tensors[name].shard.path.name != file:
            raise BadIndexError(
                f"{folder / _INDEX}: says {name} is in {file}, but it is not; "
                "download the checkpoint again"
            )
    extra = sorted(set(tensors) - set(index))
    if extra:
        where = tensors[extra[0]].shard.path.name
        raise BadIndexError(
            f"{folder / _INDEX}: lacks {extra[0]}{_more(extra)}, found in {where}; "
            "download the index again"
        )
    return tensors
