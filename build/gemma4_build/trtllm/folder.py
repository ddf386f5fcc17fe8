"""The files of ``checkpoint/`` in the engine folder."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from gemma4_runtime.engine_hashes import sha256_file
from gemma4_runtime.manifest import MANIFEST_NAME, FileEntry
from gemma4_runtime.trtllm.llm_args import FILE_NAME

from gemma4_build.checkpoint import TEXT_FILES
from gemma4_build.progress import Reporter
from gemma4_build.trtllm.copying import bring
from gemma4_build.trtllm.hf_config import QUANT_CONFIG, old_style, read_json, write_json
from gemma4_build.trtllm.pad import INDEX
from gemma4_build.trtllm.source import Source

__all__ = ["bring_shards", "copy_text_files", "hash_file", "hash_files", "mend_config"]


def copy_text_files(source: Path, target: Path, *, config: bool = True) -> None:
    """Copy tokenizer, template and configuration as they are. Raises :class:`OSError`."""
    for name in TEXT_FILES:
        if config or name != "config.json":
            shutil.copyfile(source / name, target / name)


def bring_shards(source: Source, target: Path, reporter: Reporter) -> None:
    """Bring the source's shards and index, cloned or linked where that is possible."""
    total = sum(shard.size for shard in source.shards)
    with reporter.bytes("Copying", total=total) as tick:
        how = {bring(s.path, target / s.path.name, tick) for s in source.shards}
    for name in (INDEX, QUANT_CONFIG):
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, target / name)
    reporter.say(f"Weights {' and '.join(sorted(how))}: {total / 1e9:.2f} GB")


def mend_config(base: Path, target: Path, source: Source) -> None:
    """Write config.json in the style that TensorRT-LLM's transformers reads, with the quantization
    that ``target``'s own config.json has; the exporter's is in the new style. Tokenizer files and
    generation_config.json are the source's: the exporter writes none, or its own version.

    ``base`` is the bf16 checkpoint that was quantized (padded, perhaps), or the source.
    """
    path = target / "config.json"
    quantization = read_json(path).get("quantization_config") if path.is_file() else None
    plain = read_json(base / "config.json")
    text = plain["text_config"]
    spec = replace(
        source.spec,
        intermediate=text["intermediate_size"],
        moe_intermediate=text["moe_intermediate_size"],
    )
    config = old_style(plain, spec)
    if quantization is not None:
        config["quantization_config"] = quantization
    write_json(path, config)
    copy_text_files(source.folder, target, config=False)


def hash_files(
    folder: Path, reporter: Reporter, threads: int | None = None
) -> dict[str, FileEntry]:
    """Return the size and SHA-256 of every visible file below ``folder`` but the manifest and
    llm_args.yaml, which a user may edit and every start checks."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    wanted = {str(path.relative_to(folder)): path for path in paths}
    free = (MANIFEST_NAME, FILE_NAME)
    wanted = {n: p for n, p in wanted.items() if not n.startswith(".") and n not in free}
    entries = {}
    total = sum(path.stat().st_size for path in wanted.values())
    threads = threads or len(os.sched_getaffinity(0))
    with reporter.bytes("Hashing", total=total) as tick, ThreadPoolExecutor(threads) as pool:
        for name, entry in zip(wanted, pool.map(hash_file, wanted.values()), strict=True):
            entries[name] = entry
            tick(entry.size)
    return entries


def hash_file(path: Path) -> FileEntry:
    return FileEntry(size=path.stat().st_size, sha256=sha256_file(path))
