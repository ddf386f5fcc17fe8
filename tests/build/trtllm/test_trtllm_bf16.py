"""bf16 engine folders, and what every build for TensorRT-LLM has in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import open_checkpoint
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.model_spec import read_config
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_build.safetensors_file import header
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.manifest import EngineFolderError, read_manifest
from gemma4_runtime.trtllm import llm_args

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], None]
ROOT_FILES = [
    "chat_template.jinja", "config.json", "generation_config.json", "llm_args.yaml",
    "tokenizer.json", "tokenizer_config.json",
]  # fmt: skip


def build(source: Path, out: Path, **options: Any) -> BuildResult:
    names = BuildRequest.__dataclass_fields__
    outer = {k: options.pop(k) for k in list(options) if k in names}
    given: dict[str, Any] = {"precision": "bf16", "skip_verify": True} | outer
    request = BuildRequest(
        checkpoint=source, out=out, runtime="tensorrt_llm", trtllm=GpuOptions(**options), **given
    )
    return build_engine(request, SilentReporter())


@pytest.mark.parametrize("name", ["demo_checkpoint", "sharded_source"])
def test_layout(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source: Path = request.getfixturevalue(name)
    out = tmp_path / "engine"
    manifest = build(source, out, tp=2, gpu="h200", preset="latency").manifest
    shards = sorted(path.name for path in source.glob("*.safetensors*"))
    inside = [*ROOT_FILES, *shards]
    inside.remove("llm_args.yaml")
    hashed = {*ROOT_FILES, *(f"checkpoint/{n}" for n in inside)} - {"llm_args.yaml"}
    assert set(manifest.files) == hashed
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert found == sorted([*manifest.files, "engine.json", "llm_args.yaml"])
    for file, entry in manifest.files.items():
        data = (out / file).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)
    for shard in shards:
        assert (out / "checkpoint" / shard).read_bytes() == (source / shard).read_bytes()
    with open_checkpoint(out / "checkpoint") as checkpoint:
        assert checkpoint.spec == read_config(source)
    assert manifest.runtime_version == "1.3.0rc29"
    assert (manifest.tensor_parallel, manifest.expert_parallel) == (2, 1)
    assert manifest.gpu_arch == "sm90"
    assert manifest.tensorrt_llm is not None and manifest.tensorrt_llm.preset == "latency"
    assert load_engine_folder(out, verify_hashes=True).manifest == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine"]


def test_tampering_is_seen(demo_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    build(demo_checkpoint, out)
    config = out / "checkpoint" / "config.json"
    config.write_text(config.read_text().replace("64", "65", 1))
    with pytest.raises(EngineFolderError, match=r"checkpoint/config\.json"):
        load_engine_folder(out, verify_hashes=True)


def test_first_tokens_are_transformers(demo_checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import Gemma4ForConditionalGeneration

    manifest = build(demo_checkpoint, tmp_path / "engine", skip_verify=False).manifest
    assert not manifest.verified and "unchanged" in manifest.unverified_reason
    assert len(manifest.first_tokens) == 10
    model = Gemma4ForConditionalGeneration.from_pretrained(
        demo_checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = Tokenizer.from_file(str(demo_checkpoint / "tokenizer.json"))
    for first in manifest.first_tokens:
        ids = [2, *tokenizer.encode(first.text, add_special_tokens=False).ids]
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *first.ids]])).logits[0]
        assert logits[len(ids) - 1 : -1].argmax(-1).tolist() == first.ids
        best = logits[len(ids) - 1 : -1].topk(2).values
        assert (best[:, 0] - best[:, 1]).tolist() == pytest.approx(first.margins, abs=1e-3)


def test_the_new_config_style_becomes_the_old(tiny: Path, edit_json: Edit, tmp_path: Path) -> None:
    def renew(config: dict[str, Any]) -> None:
        text = config["text_config"]
        entry = {
            "head_dim": text.pop("global_head_dim"),
            "num_key_value_heads": text.pop("num_global_key_value_heads"),
        }
        text["per_layer_config"] = {"02": entry}
        config["vision_config"]["rope_parameters"] = {"rope_type": "axial", "rope_theta": 100.0}

    old = json.loads((tiny / "config.json").read_text())
    edit_json(tiny / "config.json", renew)
    build(tiny, tmp_path / "engine")
    written = json.loads((tmp_path / "engine" / "checkpoint" / "config.json").read_text())
    assert written["text_config"] == old["text_config"]
    assert written["vision_config"]["rope_parameters"]["rope_type"] == "default"


def test_building_again(demo_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    first = build(demo_checkpoint, out)
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert build(demo_checkpoint, out).status == "up_to_date"
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == stamps
    changed = build(demo_checkpoint, out, tp=2, slots=16)
    assert (first.status, changed.status) == ("built", "updated")
    assert changed.manifest.tensor_parallel == 2
    assert changed.manifest.limits.slots == 16
    assert changed.manifest.memory.weight_bytes < first.manifest.memory.weight_bytes
    assert load_engine_folder(out, verify_hashes=True).manifest == changed.manifest
    weights = out / "checkpoint" / "model.safetensors"
    assert weights.stat().st_mtime_ns == stamps[weights]
    verified = build(demo_checkpoint, out, skip_verify=False)
    assert verified.status == "updated" and verified.manifest.first_tokens
    with pytest.raises(errors.ExistingFolderError, match="--force"):
        build(demo_checkpoint, out, pad_experts=True, tp=4, ep=1, precision="fp8")
    other = build(demo_checkpoint, out, force=True)
    assert read_manifest(out) == other.manifest


def test_edited_arguments_are_kept(demo_checkpoint: Path, tmp_path: Path) -> None:
    """A user may edit llm_args.yaml; a build with other limits writes a new one beside it."""
    out = tmp_path / "engine"
    build(demo_checkpoint, out)
    path = out / "llm_args.yaml"
    edited = path.read_text().replace("max_num_tokens: 8192", "max_num_tokens: 4096")
    path.write_text(edited)
    assert load_engine_folder(out, verify_hashes=True)
    assert build(demo_checkpoint, out).status == "up_to_date"
    assert path.read_text() == edited
    assert build(demo_checkpoint, out, slots=16).status == "updated"
    assert (out / "llm_args.yaml.old").read_text() == edited
    assert "max_batch_size: 16" in path.read_text()
    path.unlink()
    assert build(demo_checkpoint, out, slots=16).status == "updated" and path.exists()


def assistant(folder: Path, architecture: str = "Gemma4AssistantForCausalLM") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    data = np.ones(8, dtype=np.float32)
    head = header([("w", "F32", (8,), data.nbytes)])
    (folder / "model.safetensors").write_bytes(head + data.tobytes())
    return folder


def test_an_assistant_comes_along(demo_checkpoint: Path, tmp_path: Path) -> None:
    out, draft = tmp_path / "engine", assistant(tmp_path / "draft")
    manifest = build(demo_checkpoint, out, assistant=draft, gpu="b200").manifest
    assert {"assistant/config.json", "assistant/model.safetensors"} <= set(manifest.files)
    args = llm_args.read(out / "llm_args.yaml")
    assert args["speculative_config"]["speculative_model"] == "assistant"
    assert "guided_decoding_backend" not in args
    assert llm_args.resolve(args, out)["speculative_config"]["speculative_model"] == str(
        out / "assistant"
    )
    with pytest.raises(errors.ExistingFolderError, match="--force"):
        build(demo_checkpoint, out)


def test_assistants_that_are_none(demo_checkpoint: Path, tmp_path: Path) -> None:
    other = assistant(tmp_path / "other", "Gemma3ForCausalLM")
    empty = tmp_path / "empty"
    empty.mkdir()
    weightless = assistant(tmp_path / "weightless")
    (weightless / "model.safetensors").unlink()
    broken, infinite = assistant(tmp_path / "broken"), assistant(tmp_path / "infinite")
    (broken / "model.safetensors").write_bytes(b"draft")
    whole = (infinite / "model.safetensors").read_bytes()
    (infinite / "model.safetensors").write_bytes(whole[:-4] + np.float32(np.inf).tobytes())
    for folder, words in (
        (other, "Gemma3"), (empty, "no checkpoint"), (weightless, "safetensors"),
        (broken, "5 bytes"), (infinite, r"w\[7\] is NaN or infinite"),
    ):  # fmt: skip
        with pytest.raises(errors.BadOptionError, match=f"--assistant.*{words}.*it-assistant"):
            build(demo_checkpoint, tmp_path / "e", assistant=folder)


def test_hidden_rest_of_another_build_is_dropped(demo_checkpoint: Path, tmp_path: Path) -> None:
    rest = tmp_path / ".engine.building"
    (rest / "checkpoint").mkdir(parents=True)
    (rest / "checkpoint" / "half.safetensors").write_text("x")
    (rest / ".build-key").write_text("another")
    manifest = build(demo_checkpoint, tmp_path / "engine").manifest
    assert not any("half" in name for name in manifest.files)
    assert [p.name for p in tmp_path.iterdir()] == ["engine"]


def refused(source: Path, kind: type[errors.BuildError], *words: str, **options: Any) -> None:
    out = source.parent / "out" / "engine"
    with pytest.raises(kind) as caught:
        build(source, out, **options)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(model_type="gemma3", architectures=["Gemma3ForCausalLM"]), "Gemma 3"),
        (lambda c: c["text_config"].update(hidden_size_per_layer_input=256), "E2B/E4B"),
        (lambda c: c["text_config"].update(enable_moe_block=False), "31B"),
        (lambda c: c.update(quantization_config={"quant_method": "compressed-tensors"}),
         "compressed-tensors"),
        (lambda c: c.update(quantization_config={"quant_method": "gptq"}), "gptq"),
        (lambda c: c.update(quantization_config={"quant_method": "awq"}), "awq"),
    ],
)  # fmt: skip
def test_other_models(change: Any, words: str, tiny: Path, edit_json: Edit) -> None:
    edit_json(tiny / "config.json", change)
    refused(tiny, errors.BadCheckpointError, words)


def test_wrong_tensors(tiny: Path, edit_header: Edit) -> None:
    name = "model.language_model.layers.1.self_attn.q_proj.weight"
    edit_header(tiny / "model.safetensors", lambda h: h[name].update(shape=h[name]["shape"][::-1]))
    refused(tiny, errors.MisshapenTensorError, name)
    edit_header(tiny / "model.safetensors", lambda h: h.update({"x": h.pop(name)}))
    refused(tiny, errors.UnknownTensorError, "x")


def test_missing_shard(sharded: Path) -> None:
    (sharded / "model-00002-of-00004.safetensors").unlink()
    refused(sharded, errors.MissingFileError, "model-00002-of-00004.safetensors")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tp": 3}, ("--tp 3", "attention heads")),
        ({"tp": 2, "ep": 4}, ("--ep 4", "--tp 2")),
        ({"tp": 0}, ("--tp 0",)),
        ({"precision": "int8"}, ("--precision int8", "nvfp4")),
        ({"gpu": "gtx1080"}, ("gtx1080",)),
        ({"gpu": "h100", "precision": "nvfp4"}, ("NVFP4", "fp8")),
        ({"gpu": "h100", "precision": "fp8", "tp": 4}, ("--tp 4", "--ep")),
        ({"preset": "fast"}, ("--preset fast", "latency")),
        ({"quantize": "mlp"}, ("--quantize mlp", "nvfp4")),
        ({"device": "cpu"}, ("--device", "quantizes nothing")),
        ({"precision": "nvfp4", "quantize": "all"}, ("--quantize all",)),
        ({"precision": "fp8", "device": "tpu"}, ("--device tpu",)),
        ({"precision": "int4", "pad_experts": True}, ("--pad-experts", "always")),
        ({"precision": "fp8", "pad_experts": True}, ("--pad-experts", "no padding")),
        ({"precision": "fp8", "calibration_samples": 0}, ("--calibration-samples 0",)),
        ({"reference": Path("x")}, ("--reference", "not quantized")),
        ({"prefill_batch": 8}, ("--prefill-batch", "llama_cpp")),
        ({"max_total_tokens": 512}, ("--max-total-tokens 512", "1025")),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], words: tuple[str, ...], tiny: Path) -> None:
    refused(tiny, errors.BadOptionError, *words, **options)


def test_options_of_another_runtime(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match="tensorrt_llm only"):
        BuildRequest(checkpoint=tiny, out=tmp_path / "o", trtllm=GpuOptions(tp=2))
