"""What quantizing can get wrong, put into the files of a quantized checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gemma4_build import errors
from gemma4_build.checkpoint import open_checkpoint, open_tensors
from gemma4_build.result import BuildResult
from gemma4_build.shards import StoredTensor
from gemma4_build.trtllm import pipeline
from gemma4_build.trtllm.completeness import check_stored
from gemma4_build.trtllm.formats import NVFP4_MLP
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_testing.engine_folders.trtllm_build import Edit, build, edit_data, weights

EXPERT = "model.language_model.layers.3.experts.5."


def refused(source: Path, *words: str, kind: type = errors.BadCheckpointError) -> None:
    out = source.parent.parent / "out" / "engine"
    with pytest.raises(kind) as caught:
        build(source, out, "fp8", skip_verify=True)
    for word in words:
        assert word in str(caught.value)
    assert not out.parent.exists() or not list(out.parent.iterdir())


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
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), raw))  # type: ignore[no-untyped-call]
    refused(fp8, name, "finite and above 0")


def test_gate_and_up_with_different_inputs(fp8: Path) -> None:
    name = EXPERT + "gate_proj.input_scale"
    raw = np.frombuffer(np.float32(0.125).tobytes(), dtype=np.uint8)
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), raw))  # type: ignore[no-untyped-call]
    refused(fp8, name, "needs equal")


DENSE = ("layers.0.self_attn.v_proj", "layers.5.self_attn.k_proj", "layers.2.mlp.gate_proj")


@pytest.mark.parametrize("layer", DENSE)
def test_fused_dense_matrices_with_different_inputs(layer: str, fp8: Path) -> None:
    """Layer 5 is a full one: its q and k are fused, and k is v."""
    name = f"model.language_model.{layer}.input_scale"
    raw = np.frombuffer(np.float32(0.125).tobytes(), dtype=np.uint8)
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), raw))  # type: ignore[no-untyped-call]
    refused(fp8, name, "needs equal")


@pytest.mark.parametrize("field", ["input_scale", "weight_scale_2"])
@pytest.mark.parametrize("part", ["layers.1.mlp.up_proj", "layers.1.experts.3.up_proj"])
def test_fused_nvfp4_matrices_with_different_scales(
    field: str, part: str, built: Callable[[str], BuildResult], wide_demo: Path
) -> None:
    """Of NVFP4 the scale of the weights has to be equal too; FP8 matrices are rescaled."""
    name = f"model.language_model.{part}.{field}"
    with (
        open_tensors(built("nvfp4-mlp").path / "checkpoint") as (stored, _),
        open_checkpoint(wide_demo) as wide,
    ):
        check_stored(wide.spec, NVFP4_MLP, stored)
        doctored = {n: Doctored(t) if n == name else t for n, t in stored.items()}
        with pytest.raises(errors.QuantizationError, match="needs equal"):
            check_stored(wide.spec, NVFP4_MLP, doctored)  # type: ignore[arg-type]


class Doctored:
    """A stored scale, doubled."""

    def __init__(self, tensor: StoredTensor) -> None:
        self._tensor = tensor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor, name)

    def read_float32(self) -> np.ndarray[Any, Any]:
        return 2 * self._tensor.read_float32()


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
    edit_data(weights(fp8), name, lambda data: data.__setitem__(slice(None), data[::-1].copy() ^ 3))  # type: ignore[no-untyped-call]
    fake_export(fp8)
    with pytest.raises(errors.QuantizationError, match=words) as caught:
        build(demo_checkpoint, tmp_path / "out" / "engine", "fp8", skip_verify=True)
    assert name.removesuffix(".weight") in str(caught.value)


def test_worse_than_allowed(
    fp8: Path, demo_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    fake_export: Callable[[Path], list[int]],
) -> None:  # fmt: skip
    from gemma4_build.trtllm import divergence

    monkeypatch.setitem(divergence.THRESHOLDS, "fp8", {"mean_kl": 1e-9})
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
