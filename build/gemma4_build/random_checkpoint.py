"""Write a random checkpoint with true names and shapes, for tests and measurements.

``python -m gemma4_build.random_checkpoint --preset 26b --tokenizer FOLDER OUT``
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gemma4_build.model_spec import (
    TEXT_KEYS,
    VISION_KEYS,
    ModelSpec,
    TextSizes,
    VisionSizes,
    parse_config,
)
from gemma4_build.safetensors_file import header
from gemma4_build.tensor_table import EMBEDDING, PREFIX, TensorRule, checkpoint_tensors

__all__ = [
    "PRESETS", "Preset", "config_for", "main", "spread_of", "to_bf16", "write_checkpoint",
    "write_text_files",
]  # fmt: skip

_CHUNK = 4 << 20
"""Elements to draw and write at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset(TextSizes):
    """Sizes of a random model. ``pattern`` sliding layers come before each full one; ``vocab``
    None is the tokenizer's own size."""

    vocab: int | None = None
    pattern: int
    vision: VisionSizes
    shard_bytes: int


_SMALL_VISION = VisionSizes(
    hidden=32, intermediate=64, layers=1, heads=2, head_dim=16, patch=4, positions=64
)
_TINY = Preset(
    hidden=64, layers=3, pattern=2, heads=4, kv_heads=2, global_kv_heads=1, head_dim=32,
    global_head_dim=64, intermediate=96, moe_intermediate=32, experts=8, experts_per_token=2,
    window=16, context=2048, vision=_SMALL_VISION, shard_bytes=300_000,
)  # fmt: skip
_1GB = Preset(
    hidden=768, layers=12, pattern=5, heads=8, kv_heads=4, global_kv_heads=1, head_dim=64,
    global_head_dim=128, intermediate=1536, moe_intermediate=384, experts=48, experts_per_token=4,
    window=512, context=8192, vision=_SMALL_VISION, shard_bytes=400 << 20,
)  # fmt: skip
_26B = Preset(
    vocab=262144, hidden=2816, layers=30, pattern=5, heads=16, kv_heads=8, global_kv_heads=2,
    head_dim=256, global_head_dim=512, intermediate=2112, moe_intermediate=704, experts=128,
    experts_per_token=8, window=1024, context=262144, shard_bytes=49_900_000_000,
    vision=VisionSizes(
        hidden=1152, intermediate=4304, layers=27, heads=16, head_dim=72, patch=16, positions=10240
    ),
)  # fmt: skip
PRESETS = {
    "tiny": _TINY,
    "1gb": _1GB,
    "4gb": replace(
        _1GB, hidden=1408, head_dim=128, global_head_dim=256, intermediate=2112,
        moe_intermediate=704, experts=64, experts_per_token=8, shard_bytes=2 << 30,
    ),
    "26b-12": replace(_26B, layers=12, shard_bytes=5 << 30),
    "26b": _26B,
}  # fmt: skip
""""26b-12" is 26B-A4B with 12 of its 30 layers."""


def config_for(preset: Preset, vocab: int) -> dict[str, Any]:
    """Return a config.json in the published style."""
    kinds = ["sliding_attention"] * preset.pattern + ["full_attention"]
    text = {
        **{key: getattr(preset, field) for field, key in TEXT_KEYS.items()},
        "model_type": "gemma4_text", "vocab_size": vocab,
        "layer_types": [kinds[n % len(kinds)] for n in range(preset.layers)],
        "enable_moe_block": True,
        "attention_k_eq_v": True, "attention_bias": False, "final_logit_softcapping": 30.0,
        "rms_norm_eps": 1e-6, "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": True, "use_bidirectional_attention": "vision",
        "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": vocab, "use_double_wide_mlp": False,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {
                "rope_type": "proportional", "partial_rotary_factor": 0.25,
                "rope_theta": 1000000.0,
            },
        },
        "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "dtype": "bfloat16",
    }  # fmt: skip
    vision = {
        **{key: getattr(preset.vision, field) for field, key in VISION_KEYS.items()},
        "model_type": "gemma4_vision", "num_key_value_heads": preset.vision.heads,
        "global_head_dim": preset.vision.head_dim,
        "hidden_activation": "gelu_pytorch_tanh", "pooling_kernel_size": 3,
        "default_output_length": 16,
        "standardize": True, "use_clipped_linears": False, "rms_norm_eps": 1e-6,
        "dtype": "bfloat16",
    }  # fmt: skip
    first = vocab - 7
    return {
        "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4",
        "dtype": "bfloat16", "tie_word_embeddings": True, "audio_config": None,
        "text_config": text, "vision_config": vision, "vision_soft_tokens_per_image": 16,
        "eos_token_id": [1, 106], "boi_token_id": first, "boa_token_id": first + 1,
        "image_token_id": first + 2, "audio_token_id": first + 3, "eoi_token_id": first + 4,
        "eoa_token_id": first + 5, "eoa_token_index": first + 5, "video_token_id": first + 6,
    }  # fmt: skip


def write_checkpoint(
    out: Path,
    preset: Preset,
    *,
    tokenizer: Path,
    seed: int = 0,
    shard_bytes: int | None = None,
    vision: bool = True,
    threads: int = 1,
) -> ModelSpec:
    """Write config, tokenizer files (from the folder ``tokenizer``) and bf16 shards to ``out``.

    Memory stays at a few dozen MB for each of ``threads``. Same arguments give the same bytes,
    however many threads.
    """
    out.mkdir(parents=True)
    vocab = _write_tokenizer(tokenizer, out, preset.vocab)
    config = config_for(preset, vocab)
    if not vision:
        config["vision_config"] = None
    spec = parse_config(config, where="preset")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    rules = checkpoint_tensors(spec)
    groups = _group(rules, shard_bytes or preset.shard_bytes)
    weight_map: dict[str, str] = {}
    for number, group in enumerate(groups, start=1):
        name = (
            "model.safetensors"
            if len(groups) == 1
            else f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        )
        _write_shard(out / name, group, seed=seed, layers=spec.layers, threads=threads)
        weight_map |= {rule.name: name for rule in group}
    if len(groups) > 1:
        total = sum(_nbytes(rule) for rule in rules)
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    return spec


def write_text_files(out: Path, preset: Preset, *, tokenizer: Path) -> ModelSpec:
    """Write what :func:`write_checkpoint` writes, without the weights."""
    out.mkdir(parents=True, exist_ok=True)
    vocab = _write_tokenizer(tokenizer, out, preset.vocab)
    config = config_for(preset, vocab)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return parse_config(config, where="preset")


def spread_of(rule: TensorRule, layers: int) -> tuple[float, float]:
    """Return standard deviation and mean of the random values of a tensor."""
    return _scale(rule, layers)


def _nbytes(rule: TensorRule) -> int:
    return 2 * math.prod(rule.shape)


def _group(rules: tuple[TensorRule, ...], shard_bytes: int) -> list[list[TensorRule]]:
    groups: list[list[TensorRule]] = [[]]
    size = 0
    for rule in rules:
        if groups[-1] and size + _nbytes(rule) > shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append(rule)
        size += _nbytes(rule)
    return groups


def _write_shard(
    path: Path, rules: list[TensorRule], *, seed: int, layers: int, threads: int
) -> None:
    head = header((rule.name, "BF16", rule.shape, _nbytes(rule)) for rule in rules)
    ends = list(accumulate((_nbytes(rule) for rule in rules), initial=len(head)))
    with path.open("wb") as file, ThreadPoolExecutor(threads) as pool:
        file.write(head)
        file.flush()
        file.truncate(ends[-1])

        def write(rule: TensorRule, at: int) -> None:
            for part in _values(rule, seed, layers):
                data = to_bf16(part).data
                if os.pwrite(file.fileno(), data, at) != data.nbytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                at += data.nbytes

        for done in [pool.submit(write, *task) for task in zip(rules, ends, strict=False)]:
            done.result()


def _values(rule: TensorRule, seed: int, layers: int) -> Iterator[npt.NDArray[np.float32]]:
    """Give random values whose logits are sane: unit-scale activations, q_norm at head_dim ** -0.25
    since attention has scale 1, norms and scales away from 1 so that a wrong mapping shows.

    A layer of many adds little to the residual stream: deep random networks are chaotic
    otherwise, so that one rounding to float16 changes the answer. The final norm has random
    signs: the output matrix is the embedding, and would answer with the last token for sure."""
    name, size = rule.name, math.prod(rule.shape)
    rng = np.random.Generator(np.random.SFC64([seed, *name.encode()]))
    spread, center = _scale(rule, layers)
    pool = _CHUNK if size > 64 * _CHUNK else size
    done = 0
    block = rng.standard_normal(min(pool, _CHUNK), dtype=np.float32)
    while done < size:
        count = min(_CHUNK, size - done)
        if done and size <= 64 * _CHUNK:
            block = rng.standard_normal(count, dtype=np.float32)
        part = np.roll(block, int(rng.integers(_CHUNK)))[:count] if done else block[:count]
        yield part * np.float32(spread) + np.float32(center)
        done += count


def _scale(rule: TensorRule, layers: int) -> tuple[float, float]:
    """Return (standard deviation, mean)."""
    name = rule.name
    if name == EMBEDDING:
        return 2.5 * rule.shape[-1] ** -0.5, 0.0
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return 0.1 * rule.shape[0] ** -0.25, rule.shape[0] ** -0.25
    if name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
        return 0.1 * min(1.0, 3 / layers), min(1.0, 3 / layers)
    if name == f"{PREFIX}norm.weight":
        return 1.0, 0.0
    if name.endswith("layer_scalar"):
        return 0.05, 0.9
    if len(rule.shape) == 1:
        return 0.1, 1.0
    if name.endswith("router.proj.weight"):
        return 1.0, 0.0
    return rule.shape[-1] ** -0.5, 0.0


def to_bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Round to nearest even."""
    bits = values.view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def _write_tokenizer(source: Path, out: Path, vocab: int | None) -> int:
    """Copy the tokenizer files; pad with ``<unusedN>`` up to ``vocab`` tokens. The last seven ids
    stay the multimodal placeholders only without padding."""
    for name in ("tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        shutil.copyfile(source / name, out / name)
    data = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = data["model"]["vocab"]
    ids = set(tokens.values()) | {entry["id"] for entry in data["added_tokens"]}
    size = vocab or 1 + max(ids)
    numbers = (n for n in range(size) if f"<unused{n}>" not in tokens)
    for token_id in range(size):
        if token_id not in ids:
            tokens[f"<unused{next(numbers)}>"] = token_id
    (out / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return size


def main() -> None:
    """Write a checkpoint as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path("demo/checkpoint"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, help="instead of the preset's")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"{options.out} exists")
    preset = PRESETS[options.preset]
    least = preset.pattern + 1
    if options.layers is not None and options.layers < least:
        parser.error(f"--layers {options.layers}: {options.preset} needs {least} for both kinds")
    if options.threads < 1:
        parser.error(f"--threads {options.threads}: must be 1 or more")
    write_checkpoint(
        options.out,
        replace(preset, layers=options.layers or preset.layers),
        tokenizer=options.tokenizer,
        seed=options.seed,
        threads=options.threads,
    )
    size = sum(os.path.getsize(path) for path in options.out.iterdir())  # noqa: PTH202
    print(f"{options.out}: {size:,} bytes")


if __name__ == "__main__":
    main()
