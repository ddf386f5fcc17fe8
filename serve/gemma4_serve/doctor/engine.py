"""An engine folder: is it whole, and does it fit this machine."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.machine import available_memory
from gemma4_runtime.manifest import EngineFolderError, Manifest
from gemma4_runtime.memory_words import memory_words
from gemma4_runtime.recorded_answers import NoRecordError, read_recorded
from gemma4_runtime.strict_json import read_object
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.compatibility import verdict
from gemma4_runtime.trtllm.host_memory import lock_limit, pinned_bytes, short_of
from gemma4_runtime.trtllm.kv_memory import least_host_bytes
from gemma4_runtime.trtllm.llm_args import CHECKPOINT
from gemma4_runtime.trtllm.nvml import Driver
from gemma4_runtime.trtllm.setup import Precision
from gemma4_runtime.weights_words import weights_words

from gemma4_serve.doctor.report import Level, Result

__all__ = ["check_engine"]


def check_engine(path: Path, driver: Driver | str) -> tuple[Manifest | None, list[Result]]:
    """Return the manifest (None when it cannot be served) and findings. Reads every file once."""
    try:
        manifest = load_engine_folder(path, verify_hashes=True).manifest
    except EngineFolderError as error:
        return None, [Result("folder", "fail", str(error))]
    size = sum(entry.size for entry in manifest.files.values())
    quality = manifest.quality
    results = [
        Result(
            "folder", "ok",
            f"{manifest.runtime} {manifest.runtime_version}, {manifest.precision}, "
            f"{size / 1e9:.2f} GB, hashes right",
        ),
        Result("quality", "ok", f"top-1 {quality.top1_agreement:.1%}, KL {quality.mean_kl:.2g}")
        if quality
        else Result("quality", "info", f"not measured: {manifest.unverified_reason}"),
    ]  # fmt: skip
    if manifest.gguf is not None:
        results.append(Result("weights", "info", weights_words(manifest.gguf)))
    if manifest.runtime == "llama_cpp":
        left = f"{available_memory() / 2**30:.2f} GiB are available"
        results.append(Result("memory", "ok", f"needs {memory_words(manifest)}; {left}"))
    results.append(_recorded(path, manifest))
    if manifest.runtime == "tensorrt_llm":
        results += _fits(path, manifest, driver)
        results.append(_host_cache(path))
    return manifest, results


def _recorded(path: Path, manifest: Manifest) -> Result:
    try:
        found = read_recorded(path, manifest)
    except NoRecordError as error:
        return Result("quality gate", "info", str(error))
    tokens = sum(len(each.answer) for each in found.answers)
    return Result(
        "quality gate", "ok",
        f"{len(found.answers)} recorded answers of the {found.source}, {tokens} tokens",
    )  # fmt: skip


def _host_cache(path: Path) -> Result:
    """Check the pinned memory of one copy of the model against this machine's."""
    name = "host cache"
    try:
        args = llm_args.read(path / llm_args.FILE_NAME)
    except llm_args.LlmArgsError as error:
        return Result(name, "fail", str(error))
    if missing := short_of(args, copies=1, available=available_memory()):
        return Result(name, "fail", missing)
    needed, limit = pinned_bytes(args, 1), lock_limit()
    text = f"{needed / 2**30:.1f} GiB of pinned memory"
    if limit is not None and limit < needed:
        return Result(
            name, "warn", f"{text}, this process may lock {limit / 2**30:.3f} GiB",
            "raise the limit (ulimit -l unlimited, docker run --ulimit memlock=-1): without the "
            "memory TensorRT-LLM ends when its KV cache is full",
        )  # fmt: skip
    least = least_host_bytes(args)
    if (cache := args["kv_cache_config"].get("host_cache_size")) is not None and cache < least:
        return Result(
            name, "warn",
            f"{text}; {least / 2**30:.1f} GiB for each GPU keep the engine from ending when its KV "
            "cache is full",
            "set kv_cache_config.host_cache_size to that in llm_args.yaml, raise avg_seq_len to "
            "max_seq_len, or see by `gemma4 doctor --gpu` whether the cache holds all slots",
        )  # fmt: skip
    return Result(name, "ok", text)


def _fits(path: Path, manifest: Manifest, driver: Driver | str) -> list[Result]:
    tp = manifest.tensor_parallel
    if isinstance(driver, str) or not driver.devices:
        return [Result("GPUs", "fail", f"the engine wants {tp}, none is in reach")]
    devices = driver.devices
    results = []
    if len(devices) < tp:
        results.append(
            Result(
                "GPUs", "fail", f"the engine wants {tp}, {len(devices)} are in reach",
                f"build again with --tp {len(devices)}",
            )
        )  # fmt: skip
    try:
        text = read_object(path / CHECKPOINT / "config.json")["text_config"]
        widths = (int(text["moe_intermediate_size"]), int(text["intermediate_size"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [
            *results,
            Result("config.json", "fail", f"cannot be read ({error!r})", "build again"),
        ]
    found = verdict(
        gpu=devices[0].gpu,
        precision=cast(Precision, manifest.precision),
        tp=tp,
        ep=manifest.expert_parallel,
        version=manifest.runtime_version,
        mtp=(path / "assistant").is_dir(),
        # Padded ones are wider than the published checkpoint's.
        expert_width=widths[0],
        dense_width=widths[1],
    )
    level: Level = {"yes": "ok", "experimental": "warn", "no": "fail"}[found.status]  # type: ignore[assignment]
    results.append(Result("fits the GPU", level, f"{found.status}: {found.reason}", found.way_out))
    return results
