"""The parts of quantizing layer by layer that need no ModelOpt."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from gemma4_build.checkpoint import Checkpoint, open_checkpoint
from gemma4_build.safetensors_file import header
from gemma4_build.shards import open_shard
from gemma4_build.tensor_table import EMBEDDING
from gemma4_build.trtllm.layerwise.job import Job
from gemma4_build.trtllm.layerwise.names import shard_name
from gemma4_build.trtllm.layerwise.need import quantize_need
from gemma4_build.trtllm.layerwise.outside import copy_outside, outside_modules
from gemma4_build.trtllm.layerwise.packing import PACK_TOKENS, attention_masks, pack, positions
from gemma4_build.trtllm.layerwise.quant_config import LayerConfig, merge

VISION = ["model.embed_vision", "model.vision_tower"]


def test_outside_is_copied_bit_for_bit(sharded: Path, tmp_path: Path) -> None:
    with open_checkpoint(sharded) as checkpoint:
        copy_outside(checkpoint, tmp_path / "outside.safetensors")
        copied = open_shard(tmp_path / "outside.safetensors").tensors
        wanted = {
            n: t for n, t in checkpoint.tensors.items() if ".layers." not in n or "vision" in n
        }
        assert EMBEDDING in wanted and any("vision_tower.encoder.layers." in n for n in wanted)
        assert set(copied) == set(wanted)
        for name, tensor in wanted.items():
            assert (copied[name].dtype, copied[name].shape) == ("BF16", tensor.shape)
            assert np.array_equal(copied[name].read(), tensor.read())
        assert outside_modules(checkpoint) == VISION


def store_float32(folder: Path, add: float) -> None:
    """Rewrite the checkpoint's shard as float32, off the bf16 grid by ``add``."""
    path = folder / "model.safetensors"
    tensors = list(open_shard(path).tensors.values())
    values = [tensor.read_float32() + np.float32(add) for tensor in tensors]
    with (folder / "new").open("wb") as file:
        file.write(header((t.name, "F32", t.shape, 4 * t.size) for t in tensors))
        for array in values:
            file.write(array.data)
    (folder / "new").replace(path)


def test_other_types_are_rounded_to_bf16(tiny: Path, tmp_path: Path) -> None:
    store_float32(tiny, 1e-4)
    with open_checkpoint(tiny) as checkpoint:
        copy_outside(checkpoint, tmp_path / "outside.safetensors")
        copied = open_shard(tmp_path / "outside.safetensors").tensors[EMBEDDING]
        exact = checkpoint.tensors[EMBEDDING].read_float32()
    assert copied.dtype == "BF16"
    assert np.array_equal(copied.read().view(ml_dtypes.bfloat16), exact.astype(ml_dtypes.bfloat16))


def test_read_bf16_rounds_as_copying_does(tiny: Path) -> None:
    import torch
    from gemma4_build.trtllm.layerwise.layer_model import read_bf16

    store_float32(tiny, 1e-4)
    with open_checkpoint(tiny) as checkpoint:
        stored = checkpoint.tensors[EMBEDDING]
        found = read_bf16(stored, 64, 128)
        exact = stored.read_float32(64, 128).astype(ml_dtypes.bfloat16)
    assert found.dtype == torch.bfloat16
    assert np.array_equal(found.view(torch.uint16).numpy(), exact.view(np.uint16))


def layer_config(algorithm: str, *excluded: str) -> LayerConfig:
    details: dict[str, Any] = {
        "producer": {"name": "modelopt"},
        "quantization": {"quant_algo": algorithm, "exclude_modules": list(excluded)},
    }
    return LayerConfig(details, {"quant_algo": algorithm, "ignore": list(excluded)})


def test_quantization_configs_become_one() -> None:
    router = "model.language_model.layers.{}.router*"
    first = layer_config("FP8", "lm_head", router.format(0))
    whole = merge([first, first, first], VISION)
    wanted = [
        "lm_head",
        "model.embed_vision*",
        *map(router.format, range(3)),
        "model.vision_tower*",
    ]
    assert whole.details["quantization"]["exclude_modules"] == wanted
    assert whole.summary == {"quant_algo": "FP8", "ignore": wanted}
    assert whole.details["producer"] == {"name": "modelopt"}
    assert first == layer_config("FP8", "lm_head", router.format(0))


def test_layers_that_were_quantized_differently() -> None:
    fp8, other = layer_config("FP8"), layer_config("NVFP4")
    with pytest.raises(ValueError, match=r"layer 2 was quantized as .*NVFP4.*, layer 0 as .*FP8"):
        merge([fp8, fp8, other], [])


def test_names_of_the_shards() -> None:
    names = [shard_name(layer, 30) for layer in (None, 0, 29)]
    assert names == [f"model-{n:05d}-of-00031.safetensors" for n in (1, 2, 31)]


def test_a_job_and_what_decides_its_result(tmp_path: Path) -> None:
    job = Job("in", "out", "recipe", [[2, 3]], "cuda:0", False, 64, 2)
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job
    same = Job("in", "elsewhere", "recipe", [[2, 3]], "cuda:1", False, 64, 8)
    assert same.digest("1") == job.digest("1") != job.digest("2")
    for other in (
        Job("in", "out", "other", [[2, 3]], "cuda:0", False, 64, 2),
        Job("in", "out", "recipe", [[2, 4]], "cuda:0", False, 64, 2),
        Job("in", "out", "recipe", [[2, 3]], "cpu", False, 64, 2),
        Job("in", "out", "recipe", [[2, 3]], "cuda:0", False, 65, 2),
    ):
        assert other.digest("1") != job.digest("1")


@pytest.fixture
def checkpoint(demo_checkpoint: Path) -> Any:
    with open_checkpoint(demo_checkpoint) as opened:
        yield opened


def test_need(checkpoint: Checkpoint) -> None:
    spec = checkpoint.spec
    need = quantize_need(spec, "fp8", tokens=1000, longest=100)
    assert need.states == 2 * 1000 * spec.hidden * 2
    assert need.attention == need.gpu_attention
    # Texts share a sequence up to a limit, and a longer one has its own.
    many = quantize_need(spec, "fp8", tokens=10_000, longest=100)
    assert many.attention == need.attention * PACK_TOKENS["cpu"] ** 2 // 1000**2
    assert many.gpu_attention == many.attention * (PACK_TOKENS["cuda"] // PACK_TOKENS["cpu"]) ** 2
    long = quantize_need(spec, "fp8", tokens=10_000, longest=5000)
    assert long.attention == long.gpu_attention == 25 * need.attention
    layer = sum(
        tensor.read_size for name, tensor in checkpoint.tensors.items()
        if name.startswith("model.language_model.layers.3.")
    )  # fmt: skip
    assert need.layer > 1.5 * layer
    assert need.gpu + need.states == need.host
    assert many.beside_gpu == need.beside_gpu + many.states - need.states
    assert quantize_need(spec, "int4", tokens=1, longest=1).layer > need.layer


def test_states_of_the_embedding(checkpoint: Checkpoint) -> None:
    """The rows times the scale in bf16; placeholders of images count as padding."""
    import torch
    from gemma4_build.trtllm.layerwise.states import embed

    spec = checkpoint.spec
    config = json.loads((checkpoint.folder / "config.json").read_text())
    image = config["image_token_id"]
    one, two = embed(checkpoint, [[2, 70, 2], [70, image, spec.pad_id]])
    assert one.shape == (1, 3, spec.hidden) and one.dtype == torch.bfloat16
    table = torch.from_numpy(checkpoint.tensors[EMBEDDING].read()).view(torch.bfloat16)
    table = table.reshape(spec.vocab, spec.hidden)
    scale = torch.tensor(spec.hidden**0.5).bfloat16()
    assert torch.equal(one[0], table[[2, 70, 2]] * scale)
    assert torch.equal(two[0], table[[70, spec.pad_id, spec.pad_id]] * scale)


def test_texts_share_a_sequence_in_their_order() -> None:
    def packed(*lengths: int) -> list[list[int]]:
        texts = [[n] * length for n, length in enumerate(lengths)]
        packs = pack(texts, 10)
        assert [text for together in packs for text in together] == texts
        return [[len(text) for text in together] for together in packs]

    assert packed() == []
    assert packed(3, 4, 3, 1, 9, 2) == [[3, 4, 3], [1, 9], [2]]
    assert packed(30, 2, 30) == [[30], [2], [30]]


def test_no_text_sees_another() -> None:
    """Two texts of 3 and 2 tokens, a window of 2."""
    masks = attention_masks([3, 2], 2, "cpu")
    full = masks["full_attention"][0, 0] == 0
    assert full.tolist() == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [False, False, False, True, False],
        [False, False, False, True, True],
    ]
    sliding = masks["sliding_attention"][0, 0] == 0
    assert (full ^ sliding).nonzero().tolist() == [[2, 0]]
    assert positions([3, 2]).tolist() == [[0, 1, 2, 0, 1]]


@pytest.mark.parametrize("layer", [0, 5])
def test_together_as_alone(layer: int, checkpoint: Checkpoint) -> None:
    """Layer 0 is a sliding one, layer 5 a full one; the first text is longer than the window."""
    import torch
    from gemma4_build.trtllm.layerwise.layer_model import build_layer, forward_layer

    spec = checkpoint.spec
    assert [spec.sliding[n] for n in (0, 5)] == [True, False]
    model = build_layer(checkpoint, layer, "cpu")
    lengths = [spec.window + 20, 1, 33]
    generator = torch.Generator().manual_seed(3)
    texts = [torch.randn(1, n, spec.hidden, generator=generator).bfloat16() for n in lengths]
    with torch.inference_mode():
        together = forward_layer(model, torch.cat(texts, dim=1), lengths)[0].float()
        own = model.model.language_model
        alone = [own(inputs_embeds=text, use_cache=False).last_hidden_state[0] for text in texts]
    difference = (together - torch.cat(alone).float()).abs()
    # bf16, and sums in another order; an expert may flip at a token or two.
    assert float(difference.mean(dim=1).quantile(0.98)) < 0.01 * float(together.abs().mean())


def test_states_are_kept_for_the_same_run_only(tmp_path: Path) -> None:
    import torch
    from gemma4_build.trtllm.layerwise.states import load_states, save_states

    path = tmp_path / "states.safetensors"
    assert load_states(path, digest="a") is None
    states = [torch.randn(1, n, 8).bfloat16() for n in range(1, 13)]
    save_states(states, path, layer=3, digest="a")
    found = load_states(path, digest="a")
    assert found is not None and found[1] == 3
    assert all(torch.equal(a, b) for a, b in zip(states, found[0], strict=True))
    assert load_states(path, digest="b") is None
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_export_with_something_else_in_it(tmp_path: Path) -> None:
    import torch
    from gemma4_build.trtllm.layerwise import export

    save = export._saver(7, tmp_path / "shard.safetensors")
    shared = torch.ones(4)
    tensors = {
        "lm_head.weight": shared,
        "model.language_model.layers.0.a.input_scale": shared[0],
        "model.language_model.layers.0.b.input_scale": shared[0],
        "model.language_model.layers.0.c.weight": torch.ones(2, 3).T,
    }
    save(tmp_path, state_dict=tensors, max_shard_size="1GB")
    shard = open_shard(tmp_path / "shard.safetensors")
    prefix = "model.language_model.layers.7."
    assert sorted(shard.tensors) == [
        f"{prefix}a.input_scale", f"{prefix}b.input_scale", f"{prefix}c.weight"
    ]  # fmt: skip
    ours = stat.S_IMODE((tmp_path / "config.json").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "shard.safetensors").stat().st_mode) == ours
    tensors["model.vision_tower.x"] = shared
    with pytest.raises(
        RuntimeError, match=r"model\.vision_tower\.x, which is no tensor of layer 7"
    ):
        save(tmp_path, state_dict=tensors)
