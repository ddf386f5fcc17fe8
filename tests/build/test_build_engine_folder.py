"""The check that a start makes of an engine folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime import engine_folder, engine_hashes, machine
from gemma4_runtime import manifest as manifests
from gemma4_runtime.engine_folder import load_engine_folder

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], None]


@pytest.fixture
def engine(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine_hashes, "cache_file", lambda name: tmp_path / "cache" / name)
    request = BuildRequest(checkpoint=tiny_source, out=tmp_path / "engine", skip_verify=True)
    build_engine(request, SilentReporter())
    return tmp_path / "engine"


def test_a_good_folder(engine: Path) -> None:
    folder = load_engine_folder(engine, verify_hashes=True)
    assert folder.path == engine and "model.gguf" in folder.manifest.files
    assert folder.manifest.model.eos_ids == [1, 106, 50]
    assert folder.manifest.llama_cpp is not None
    assert folder.manifest.llama_cpp.byte_tokens == "literal"
    assert (engine / "engine.json").stat().st_size < 10_000


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(manifests.NoSuchFolderError, match="gemma4 build"):
        load_engine_folder(tmp_path / "nothing", verify_hashes=False)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(manifests.NoManifestError, match=r"engine\.json"):
        load_engine_folder(tmp_path, verify_hashes=False)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_schema(version: object, engine: Path, edit_json: Edit) -> None:
    edit_json(engine / "engine.json", lambda m: m.update(schema_version=version))
    with pytest.raises(manifests.SchemaVersionError, match="build again"):
        load_engine_folder(engine, verify_hashes=False)


def test_other_runtime(engine: Path, edit_json: Edit) -> None:
    edit_json(engine / "engine.json", lambda m: m.update(runtime="vllm"))
    with pytest.raises(manifests.UnknownRuntimeError, match="'vllm'"):
        load_engine_folder(engine, verify_hashes=False)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_unreadable_manifest(text: str, engine: Path) -> None:
    (engine / "engine.json").write_text(text, encoding="latin-1")
    with pytest.raises(manifests.BadManifestError):
        load_engine_folder(engine, verify_hashes=False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda m: m["limits"].update(slots=0), "limits.slots"),
        (lambda m: m.pop("files"), "files"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m["files"]["model.gguf"].update(sha256="x"), "files.model.gguf.sha256"),
    ],
)
def test_bad_manifest(
    change: Callable[[dict[str, Any]], object], field: str, engine: Path, edit_json: Edit
) -> None:
    edit_json(engine / "engine.json", change)
    with pytest.raises(manifests.BadManifestError, match=field):
        load_engine_folder(engine, verify_hashes=False)


@pytest.mark.parametrize("name", ["model.gguf", "tokenizer.json", "chat_template.jinja"])
def test_missing_file(name: str, engine: Path) -> None:
    (engine / name).unlink()
    with pytest.raises(engine_folder.TamperedFileError, match="missing") as caught:
        load_engine_folder(engine, verify_hashes=False)
    assert caught.value.file == name


def test_truncated_file(engine: Path) -> None:
    os.truncate(engine / "model.gguf", 1000)
    with pytest.raises(engine_folder.TamperedFileError, match="truncated: 1000 bytes"):
        load_engine_folder(engine, verify_hashes=False)


def test_changed_file_of_the_same_size_and_time(engine: Path) -> None:
    """Even with its modification time set back, after a start has cached its hash."""
    load_engine_folder(engine, verify_hashes=True)
    model = engine / "model.gguf"
    before = model.stat()
    with model.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x77")
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert model.stat().st_mtime_ns == before.st_mtime_ns
    load_engine_folder(engine, verify_hashes=False)
    with pytest.raises(engine_folder.TamperedFileError, match="SHA-256") as caught:
        load_engine_folder(engine, verify_hashes=True)
    assert caught.value.file == "model.gguf"


def test_hashes_are_read_once(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = engine_hashes.sha256_file
    monkeypatch.setattr(
        engine_hashes,
        "sha256_file",
        lambda path: read.append(path.name) or original(path),  # type: ignore[func-returns-value]
    )
    load_engine_folder(engine, verify_hashes=True)
    first, read[:] = sorted(read), []
    load_engine_folder(engine, verify_hashes=True)
    assert "model.gguf" in first
    assert read == []


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}'])
def test_a_broken_cache_only_costs_time(text: str, engine: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hashes.json").write_text(text)
    load_engine_folder(engine, verify_hashes=True)
    assert str(engine / "model.gguf") in json.loads((tmp_path / "cache/hashes.json").read_text())


def test_too_little_memory(engine: Path) -> None:
    need = load_engine_folder(engine, verify_hashes=False).manifest.memory
    four = need.total(slots=4, max_total_tokens=2048)
    load_engine_folder(engine, verify_hashes=False, available_bytes=four)
    with pytest.raises(engine_folder.MachineTooSmallError, match="3 of 4 slots would fit") as error:
        load_engine_folder(engine, verify_hashes=False, available_bytes=four - 1)
    assert (error.value.needed, error.value.available) == (four, four - 1)
    three = need.total(slots=3, max_total_tokens=2048)
    load_engine_folder(engine, verify_hashes=False, slots=3, available_bytes=three)
    with pytest.raises(engine_folder.MachineTooSmallError, match="lower precision than int8"):
        load_engine_folder(engine, verify_hashes=False, available_bytes=1000)
    one = need.total(slots=1, max_total_tokens=2048)
    with pytest.raises(engine_folder.MachineTooSmallError, match="smaller limits"):
        load_engine_folder(engine, verify_hashes=False, available_bytes=one - 1)


def test_memory_of_the_real_model() -> None:
    from gemma4_build.manifest import memory_need
    from gemma4_build.model_spec import parse_config
    from gemma4_build.random_checkpoint import PRESETS, config_for

    spec = parse_config(config_for(PRESETS["26b"], 262144), where="26b")
    options = manifests.LlamaCppOptions(
        kv_type="f16", flash_attention=True, byte_tokens="literal", micro_batch=512
    )
    need = memory_need(spec, 0, options)
    assert (need.kv_bytes_per_token_sliding, need.kv_bytes_per_token_full) == (204_800, 20_480)
    assert need.sliding_cells == 1536
    kv = need.total(slots=2, max_total_tokens=8192) - need.total(slots=0, max_total_tokens=8192)
    assert kv == 2 * (2 * 204_800 * 1536 + 20_480 * 8192)  # the cells in use, and a checkpoint


@pytest.mark.parametrize(("preset", "batch"), [("tiny", 512), ("26b", 8)])
def test_a_prefill_batch_takes_half_a_second(preset: str, batch: int) -> None:
    from gemma4_build.model_spec import parse_config
    from gemma4_build.random_checkpoint import PRESETS, config_for
    from gemma4_build.request import BuildRequest, prefill_batch

    spec = parse_config(config_for(PRESETS[preset], 262144), where=preset)
    folders: dict[str, Any] = {"checkpoint": Path("a"), "out": Path("b")}
    assert prefill_batch(BuildRequest(**folders), spec) == batch
    assert prefill_batch(BuildRequest(**folders, prefill_batch=100), spec) == 100


def test_active_parameters_of_the_real_model() -> None:
    """3,822,530,590 of the model card, less the head and the vectors."""
    from gemma4_build.model_spec import parse_config
    from gemma4_build.random_checkpoint import PRESETS, config_for

    spec = parse_config(config_for(PRESETS["26b"], 262144), where="26b")
    assert 0 < 3_822_530_590 - 738_197_504 - spec.active_parameters < 2_000_000


def test_container_limits_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = machine.available_memory()
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.available_memory() > free / 2
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    assert machine.available_memory() == 400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() > 400_000
