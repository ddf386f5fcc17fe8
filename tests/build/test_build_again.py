"""Building twice: up to date, updated, refused or replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.manifest import read_manifest


def build(checkpoint: Path, out: Path, **options: Any) -> BuildResult:
    options.setdefault("skip_verify", True)
    request = BuildRequest(checkpoint=checkpoint, out=out, **options)
    return build_engine(request, SilentReporter())


@pytest.mark.parametrize("runtime", ["llama_cpp", "synthetic"])
def test_second_run_is_up_to_date(runtime: str, tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    first = build(tiny_source, out, runtime=runtime)
    stamps = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    second = build(tiny_source, out, runtime=runtime)
    assert (first.status, second.status) == ("built", "up_to_date")
    assert second.manifest == first.manifest == read_manifest(out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == stamps


@pytest.mark.parametrize("runtime", ["llama_cpp", "synthetic"])
def test_new_limits_change_only_the_manifest(
    runtime: str, tiny_source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "engine"
    build(tiny_source, out, runtime=runtime)
    inode = (out / "tokenizer.json").stat().st_ino
    result = build(tiny_source, out, runtime=runtime, slots=7)
    assert result.status == "updated"
    assert (out / "tokenizer.json").stat().st_ino == inode
    assert load_engine_folder(out, verify_hashes=True).manifest.limits.slots == 7


def test_another_precision_needs_force(tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    build(tiny_source, out, precision="int8")
    with pytest.raises(errors.ExistingFolderError, match=r"another build .*int8.*--force"):
        build(tiny_source, out, precision="int4")
    assert read_manifest(out).precision == "int8"
    assert build(tiny_source, out, precision="int4", force=True).status == "built"
    assert load_engine_folder(out, verify_hashes=True).manifest.precision == "int4"
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_a_changed_checkpoint_is_seen(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    build(tiny, out)
    shard = tiny / "model.safetensors"
    data = bytearray(shard.read_bytes())
    data[-300] ^= 1
    shard.write_bytes(data)
    with pytest.raises(errors.ExistingFolderError, match="another version of the checkpoint"):
        build(tiny, out)


def test_a_tampered_engine_is_not_up_to_date(tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    build(tiny_source, out)
    data = bytearray((out / "model.gguf").read_bytes())
    data[-1] ^= 1
    (out / "model.gguf").write_bytes(data)
    with pytest.raises(errors.ExistingFolderError, match=r"model\.gguf.*SHA-256.*--force"):
        build(tiny_source, out)
    assert build(tiny_source, out, force=True).status == "built"
    load_engine_folder(out, verify_hashes=True)


@pytest.mark.parametrize("force", [False, True])
def test_foreign_folders_are_never_replaced(force: bool, tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "holiday.jpg").write_text("x")
    with pytest.raises(errors.ExistingFolderError, match="no engine folder"):
        build(tiny_source, out, force=force)
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.ExistingFolderError, match="not a folder"):
        build(tiny_source, tmp_path / "file", force=force)
    assert (out / "holiday.jpg").read_text() == "x"


def test_an_empty_folder_is_used(tiny_source: Path, tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    assert build(tiny_source, tmp_path / "engine").status == "built"


def test_a_quality_failure_keeps_the_old_engine(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemma4_build.verify import thresholds

    out = tmp_path / "engine"
    old = build(tiny_source, out, precision="int8").manifest
    monkeypatch.setitem(thresholds.THRESHOLDS, "int4", {"mean_kl": 0.0})
    with pytest.raises(errors.QualityError, match="mean_kl"):
        build(tiny_source, out, precision="int4", force=True, skip_verify=False)
    assert load_engine_folder(out, verify_hashes=True).manifest == old
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_skipped_verification_is_written_down_and_made_up_for(
    tiny_source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "engine"
    first = build(tiny_source, out).manifest
    assert (first.verified, first.quality) == (False, None)
    assert first.unverified_reason == "skipped by --skip-verify"
    second = build(tiny_source, out, skip_verify=False)
    assert second.status == "updated"
    assert second.manifest.verified
    assert second.manifest.unverified_reason == ""
    assert build(tiny_source, out, skip_verify=True).status == "up_to_date"


def test_no_memory_to_verify_is_said(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemma4_build.manifest.available_memory", lambda: 1 << 20)
    result = build(tiny_source, tmp_path / "engine", skip_verify=False)
    assert not result.manifest.verified
    assert "0.0 GiB of free memory" in result.manifest.unverified_reason


def test_synthetic_needs_no_weights(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.safetensors").unlink()
    result = build(tiny, tmp_path / "engine", runtime="synthetic", decode_tokens_per_s=50.0)
    assert result.manifest.synthetic is not None
    assert result.manifest.synthetic.decode_tokens_per_s == 50.0
    assert result.manifest.precision == "none"
    folder = load_engine_folder(tmp_path / "engine", verify_hashes=True)
    assert "model.gguf" not in folder.manifest.files
    assert (folder.path / "tokenizer.json").exists()
    assert result.manifest.synthetic.tokens_per_step == 1
    changed = build(tiny, tmp_path / "engine", runtime="synthetic", decode_tokens_per_s=60.0)
    assert changed.status == "updated"
    changed = build(tiny, tmp_path / "engine", runtime="synthetic", tokens_per_step=4)
    assert changed.status == "updated" and changed.manifest.synthetic is not None
    assert changed.manifest.synthetic.tokens_per_step == 4
