"""Checkpoints that were quantized elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors
from gemma4_build.result import BuildResult
from gemma4_testing.engine_folders.trtllm_build import Edit, build


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
