"""Quantizing the demo checkpoint with ModelOpt, really, and the proof of what it exports."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import open_checkpoint, open_tensors
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_build.safetensors_file import header
from gemma4_build.trtllm import pipeline
from gemma4_build.trtllm.closeness import check_against_source
from gemma4_build.trtllm.formats import FP8, NVFP4_EXPERTS, total_bytes
from gemma4_build.trtllm.options import GpuOptions
from gemma4_build.trtllm.proof import check_stored
from gemma4_build.trtllm.ptq import Quantized
from gemma4_runtime.engine_folder import load_engine_folder

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], None]
EXPERT = "model.language_model.layers.3.experts.5."
SAMPLES = 6


def build(source: Path, out: Path, precision: str, **options: Any) -> BuildResult:
    names = BuildRequest.__dataclass_fields__
    outer = {k: options.pop(k) for k in list(options) if k in names}
    request = BuildRequest(
        checkpoint=source, out=out, runtime="tensorrt_llm", precision=precision,
        trtllm=GpuOptions(**options), **outer,
    )  # fmt: skip
    return build_engine(request, SilentReporter())


@pytest.fixture(scope="module")
def one_file(built: Callable[[str], BuildResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fp8 checkpoint in one shard, without an index."""
    source, folder = built("fp8").path / "checkpoint", tmp_path_factory.mktemp("one") / "fp8"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    with open_tensors(source) as (stored, _), weights(folder).open("wb") as file:
        file.write(header((t.name, t.dtype, t.shape, t.read_size) for t in stored.values()))
        for tensor in stored.values():
            file.write(tensor.read().data)
    return folder


@pytest.fixture
def fp8(one_file: Path, tmp_path: Path) -> Path:
    """A quantized checkpoint to change."""
    return Path(shutil.copytree(one_file, tmp_path / "source" / "fp8"))


@pytest.mark.parametrize("name", ["fp8", "nvfp4", "nvfp4-mlp"])
def test_a_real_build(
    name: str, built: Callable[[str], BuildResult], demo_checkpoint: Path
) -> None:
    result = built(name)
    manifest, folder = result.manifest, result.path / "checkpoint"
    assert manifest.verified and manifest.quality is not None
    assert manifest.quality.positions > 50
    assert manifest.quality.perplexity is not None
    assert "simulated" in manifest.quality.reference
    assert len(manifest.first_tokens) == 10
    assert load_engine_folder(result.path, verify_hashes=True).manifest == manifest
    config = json.loads((folder / "config.json").read_text())
    source = json.loads((demo_checkpoint / "config.json").read_text())
    assert config.pop("quantization_config")["quant_method"] == "modelopt"
    assert config == source
    for file in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (folder / file).read_bytes() == (demo_checkpoint / file).read_bytes()
    assert not any(file.startswith(".") for file in manifest.files)
    quant = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]
    assert quant["kv_cache_quant_algo"] == "FP8"
    assert "lm_head" in quant["exclude_modules"]


def test_quantizing_imports_torch_in_the_child_only(built: Callable[[str], BuildResult]) -> None:
    built("fp8")
    import subprocess

    code = (
        "import sys, gemma4_build.pipeline, gemma4_build.trtllm.calibration\n"
        "print([m for m in ('torch', 'modelopt', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_expert_is_there(built: Callable[[str], BuildResult], demo_checkpoint: Path) -> None:
    folder = built("nvfp4").path / "checkpoint"
    with open_checkpoint(demo_checkpoint) as source, open_tensors(folder) as (stored, _):
        spec = source.spec
        assert check_stored(spec, NVFP4_EXPERTS, stored) == total_bytes(spec, NVFP4_EXPERTS)
        assert sum(".experts." in name for name in stored) == spec.layers * spec.experts * 3 * 4
        worst = check_against_source(
            source, source.tensors, NVFP4_EXPERTS, stored, SilentReporter()
        )
        assert 0.08 < worst < 0.11


def test_same_request_is_up_to_date(
    built: Callable[[str], BuildResult], demo_checkpoint: Path
) -> None:
    first = built("fp8")
    again = build(demo_checkpoint, first.path, "fp8", calibration_samples=SAMPLES)
    assert again.status == "up_to_date"
    with pytest.raises(errors.ExistingFolderError, match="--force"):
        build(demo_checkpoint, first.path, "fp8", calibration_samples=SAMPLES + 1)


# What quantizing can get wrong, put into the files.


def refused(source: Path, *words: str, kind: type = errors.BadCheckpointError) -> None:
    out = source.parent.parent / "out" / "engine"
    with pytest.raises(kind) as caught:
        build(source, out, "fp8", skip_verify=True)
    for word in words:
        assert word in str(caught.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def edit_data(path: Path, name: str, change: Callable[[np.ndarray], None]) -> None:
    raw = bytearray(path.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    begin, end = json.loads(raw[8 : 8 + length])[name]["data_offsets"]
    data = np.frombuffer(raw, dtype=np.uint8)[8 + length + begin : 8 + length + end]
    change(data)
    path.write_bytes(raw)


def test_one_expert_left_out(fp8: Path, edit_header: Edit) -> None:
    def drop(header: dict[str, Any]) -> None:
        header["x" + EXPERT + "down_proj.weight"] = header.pop(EXPERT + "down_proj.weight")

    edit_header(weights(fp8), drop)
    refused(fp8, EXPERT + "down_proj.weight is missing")


def test_a_left_over_tensor(fp8: Path, edit_header: Edit) -> None:
    def rename(header: dict[str, Any]) -> None:
        last = max(
            (n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"]
        )
        end = header[last]["data_offsets"][1]
        header["extra"] = {"dtype": "U8", "shape": [0], "data_offsets": [end, end]}

    edit_header(weights(fp8), rename)
    refused(fp8, "extra does not belong")


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("field", ["weight_scale", "input_scale"])
def test_a_bad_scale(field: str, value: float, fp8: Path) -> None:
    name = EXPERT + f"gate_proj.{field}"
    raw = np.frombuffer(np.float32(value).tobytes(), dtype=np.uint8)
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), raw))
    refused(fp8, name, "finite and above 0")


def test_gate_and_up_with_different_inputs(fp8: Path) -> None:
    name = EXPERT + "gate_proj.input_scale"
    raw = np.frombuffer(np.float32(0.125).tobytes(), dtype=np.uint8)
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), raw))
    refused(fp8, name, "needs equal")


def test_a_wrong_type(fp8: Path, edit_header: Edit) -> None:
    name = EXPERT + "up_proj.weight"
    edit_header(weights(fp8), lambda h: h[name].update(dtype="U8"))
    refused(fp8, name, "U8", "F8_E4M3")


def test_a_config_that_does_not_fit(fp8: Path, edit_json: Edit) -> None:
    path = fp8 / "hf_quant_config.json"
    before = path.read_text()
    edit_json(path, lambda c: c["quantization"]["exclude_modules"].append("*layers.1.mlp*"))
    refused(fp8, "exclude_modules", "layers.1.mlp.gate_proj")
    path.write_text(before)
    edit_json(path, lambda c: c["quantization"]["exclude_modules"].remove("lm_head"))
    refused(fp8, "lm_head")
    path.write_text(before)
    edit_json(path, lambda c: c["quantization"].update(kv_cache_quant_algo="INT8"))
    refused(fp8, "kv_cache_quant_algo", "INT8")
    path.write_text(before)
    edit_json(path, lambda c: c["quantization"].update(quant_algo="NVFP4"))
    refused(fp8, "--precision nvfp4", kind=errors.BadOptionError)


@pytest.fixture
def fake_export(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[int]]:
    """Instead of ModelOpt, copy a folder. The list has one entry for each call."""

    def use(folder: Path) -> list[int]:
        calls: list[int] = []

        def quantize(checkpoint: Path, export: Path, **options: Any) -> Quantized:
            calls.append(len(options["samples"]))
            shutil.copytree(folder, export, dirs_exist_ok=True)
            return Quantized("0.47.0", 1, 1, 1, 0, 1.0)

        monkeypatch.setattr(pipeline, "quantize", quantize)
        return calls

    return use


def test_silently_skipped_experts(
    demo_checkpoint: Path, tmp_path: Path, fake_export: Callable[[Path], list[int]]
) -> None:
    """ModelOpt's issue 1173: an export without an error, with bf16 experts in it."""
    fake_export(demo_checkpoint)
    with pytest.raises(
        errors.QuantizationError, match=r"experts were not quantized .6 of 6 layers"
    ):
        build(demo_checkpoint, tmp_path / "engine", "fp8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (EXPERT + "down_proj.weight", "differs from the source"),
        ("model.language_model.layers.2.layer_scalar", "not the source's"),
        ("model.vision_tower.std_bias", "not the source's"),
    ],
)
def test_a_changed_weight(
    name: str, words: str, fp8: Path, demo_checkpoint: Path, tmp_path: Path,
    fake_export: Callable[[Path], list[int]],
) -> None:  # fmt: skip
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), data[::-1].copy() ^ 3))
    fake_export(fp8)
    with pytest.raises(errors.QuantizationError, match=words) as caught:
        build(demo_checkpoint, tmp_path / "out" / "engine", "fp8", skip_verify=True)
    assert name.removesuffix(".weight") in str(caught.value)


def test_worse_than_allowed(
    fp8: Path, demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fake_export: Callable[[Path], list[int]],
) -> None:  # fmt: skip
    from gemma4_build.trtllm import quality

    monkeypatch.setitem(quality.THRESHOLDS, "fp8", {"mean_kl": 1e-9})
    fake_export(fp8)
    with pytest.raises(errors.QualityError, match=r"mean_kl is .*, most 1e-09"):
        build(demo_checkpoint, tmp_path / "out" / "engine", "fp8")
    assert not list((tmp_path / "out").iterdir())
    result = build(demo_checkpoint, tmp_path / "out" / "engine", "fp8", skip_verify=True)
    assert result.manifest.unverified_reason == "skipped by --skip-verify"


def test_an_interrupted_build_keeps_the_export(
    fp8: Path, demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fake_export: Callable[[Path], list[int]],
) -> None:  # fmt: skip
    calls, out = fake_export(fp8), tmp_path / "out" / "engine"

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pipeline, "verify", interrupt)
        build(demo_checkpoint, out, "fp8")
    assert [p.name for p in out.parent.iterdir()] == [".engine.building"]
    assert build(demo_checkpoint, out, "fp8").status == "built"
    assert len(calls) == 1
    assert [p.name for p in out.parent.iterdir()] == ["engine"]
    load_engine_folder(out, verify_hashes=True)


def test_modelopt_that_fails(tiny: Path, tmp_path: Path) -> None:
    """The child's last words are in the error."""
    file = tmp_path / "calibration.jsonl"
    file.write_text('{"text": "one two three four five"}\n')
    from gemma4_build.trtllm.ptq import quantize

    with pytest.raises(errors.QuantizationError, match=r"exit status 1.: .*Error"):
        quantize(
            tiny, tmp_path / "export", recipe="general/ptq/no-such-recipe", samples=[[2, 3]],
            device="cpu", reporter=SilentReporter(),
        )  # fmt: skip


# Checkpoints that were quantized elsewhere.


def test_a_published_checkpoint(
    fp8: Path, demo_checkpoint: Path, tmp_path: Path, edit_json: Edit
) -> None:
    (fp8 / "hf_quant_config.json").unlink()  # the same is in config.json
    out = tmp_path / "out" / "engine"
    manifest = build(fp8, out, "fp8").manifest
    assert not manifest.verified
    assert "source is absent" in manifest.unverified_reason
    assert len(manifest.first_tokens) == 10
    measured = build(fp8, tmp_path / "out" / "two", "fp8", reference=demo_checkpoint).manifest
    assert measured.verified and measured.quality is not None
    assert measured.quality.mean_kl < 0.12
    edit_json(fp8 / "config.json", lambda c: c["text_config"].update(rms_norm_eps=1e-5))
    with pytest.raises(errors.BadOptionError, match="--reference"):
        build(fp8, tmp_path / "out" / "three", "fp8", reference=demo_checkpoint)


def test_nvfp4_of_unknown_extent(built: Callable[[str], BuildResult], tmp_path: Path) -> None:
    source = built("nvfp4-mlp").path / "checkpoint"
    manifest = build(source, tmp_path / "engine", "nvfp4", skip_verify=True).manifest
    assert manifest.precision == "nvfp4"
    with pytest.raises(errors.BadOptionError, match="--quantize experts"):
        build(source, tmp_path / "two", "nvfp4", quantize="experts")


@pytest.mark.parametrize(
    "options", [{"device": "cpu"}, {"calibration_samples": 3}, {"pad_experts": True}]
)
def test_options_that_come_too_late(options: dict[str, Any], fp8: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.BadOptionError, match="quantized already"):
        build(fp8, tmp_path / "out" / "engine", "fp8", **options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no text"),
        ("{", "line 1: not JSON"),
        ('{"text": 3}', "line 1: need"),
        ('{"messages": [{"content": "x"}]}', "line 1: every message"),
        ('{"text": "a b c d e f g"}\n{"prompt": "x"}', "line 2: need"),
    ],
)
def test_bad_calibration(text: str, words: str, demo_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(errors.BadOptionError, match=words):
        build(demo_checkpoint, tmp_path / "engine", "fp8", calibration=tmp_path / "c.jsonl")


def test_calibration_is_rendered(demo_checkpoint: Path, tmp_path: Path) -> None:
    from gemma4_build.trtllm.calibration import calibration_ids
    from tokenizers import Tokenizer

    file = tmp_path / "c.jsonl"
    file.write_text(
        '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}'
        '\n\n{"text": "plain text, long enough"}\n'
    )
    tokenizer = Tokenizer.from_file(str(demo_checkpoint / "tokenizer.json"))
    one, two = calibration_ids(demo_checkpoint, file, samples=9, length=100)
    text = tokenizer.decode(one, skip_special_tokens=False)
    assert text.startswith("<bos><|turn>user\nHi<turn|>\n<|turn>model\n")
    assert text.endswith("Yo<turn|>")
    assert two[0] == 2
    own = calibration_ids(demo_checkpoint, None, samples=99, length=20)
    assert len(own) == 50 and max(map(len, own)) == 20


def test_padding_makes_a_split_legal(demo_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    with pytest.raises(errors.BadOptionError, match="--pad-experts"):
        build(demo_checkpoint, out, "fp8", tp=4)
    result = build(demo_checkpoint, out, "fp8", tp=4, pad_experts=True, calibration_samples=SAMPLES)
    config = json.loads((out / "checkpoint" / "config.json").read_text())["text_config"]
    assert (config["moe_intermediate_size"], config["intermediate_size"]) == (128, 256)
    assert result.manifest.verified
    assert sorted(p.name for p in tmp_path.iterdir()) == ["engine"]
    with open_tensors(out / "checkpoint") as (stored, _):
        wide = replace(_spec(demo_checkpoint), moe_intermediate=128)
        assert check_stored(wide, FP8, stored) == total_bytes(wide, FP8)


def _spec(folder: Path) -> Any:
    with open_checkpoint(folder) as checkpoint:
        return checkpoint.spec


def test_int4_is_experimental(tmp_path: Path, demo_checkpoint: Path) -> None:
    """Random weights: the demo's hidden size, 192, is no multiple of the group of 128."""
    with pytest.raises(errors.BadOptionError, match="hidden size is 192"):
        build(demo_checkpoint, tmp_path / "engine", "int4")
    source = tmp_path / "source"
    preset = replace(PRESETS["tiny"], hidden=256, intermediate=192, moe_intermediate=96)
    write_checkpoint(source, preset, tokenizer=demo_checkpoint)
    out = tmp_path / "engine"
    result = build(source, out, "int4", calibration_samples=SAMPLES, skip_verify=True)
    assert "nobody has run it" in result.manifest.experimental
    config = json.loads((out / "checkpoint" / "config.json").read_text())
    text = config["text_config"]
    assert (text["moe_intermediate_size"], text["intermediate_size"]) == (128, 256)
    assert config["quantization_config"]["quant_algo"] == "W4A8_AWQ"
