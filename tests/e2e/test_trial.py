"""``gemma4 doctor --gpu`` against real servers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from gemma4_runtime.manifest import MANIFEST_NAME, read_manifest
from gemma4_serve.doctor.trial import run_trial

TEXT = "<|turn>user\nWhat is 7 + 8?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"


def trial(engines: Path, tmp_path: Path, reference: list[int] | None = None) -> dict[str, Any]:
    """``reference`` replaces the manifest's first tokens."""
    folder = tmp_path / "engine"
    shutil.copytree(engines / "f32", folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["limits"] |= {"slots": 2, "max_queued": 2}
    if reference is not None:
        manifest["first_tokens"] = [{"text": TEXT, "ids": reference}]
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    results = run_trial(folder, read_manifest(folder), start_timeout=60)
    return {r.name: r for r in results}


def test_a_good_engine_passes(engines: Path, tmp_path: Path) -> None:
    wanted = sum(len(first.ids) for first in read_manifest(engines / "f32").first_tokens)
    assert wanted > 40
    found = trial(engines, tmp_path)
    assert found["first tokens"].figures == {"equal": wanted, "total": wanted}
    assert {n: r.level for n, r in found.items()} == dict.fromkeys(
        ("load", "first tokens", "pace", "cancel", "overload", "drain"), "ok"
    )
    assert "8 at once with room for 4" in found["overload"].detail


def test_wrong_tokens_are_seen(engines: Path, tmp_path: Path) -> None:
    found = trial(engines, tmp_path, [600, 601, 602])
    assert found["first tokens"].level == "fail" and "0 of 3" in found["first tokens"].detail


def test_an_engine_that_does_not_load(engines: Path, tmp_path: Path) -> None:
    manifest = read_manifest(engines / "f32")
    folder = tmp_path / "engine"
    shutil.copytree(engines / "f32", folder)
    (folder / "model.gguf").write_bytes(b"GGUF")
    (result,) = run_trial(folder, manifest, start_timeout=60)
    assert result.name == "load" and result.level == "fail"
