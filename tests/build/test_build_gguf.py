"""An engine folder from a GGUF file that somebody else made: its weights, our head."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gemma4_build import errors, workspace
from gemma4_build.checkpoint import TEXT_FILES
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.published.record import NO_REFERENCE
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_build.verify.engine_run import run_greedy
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.recorded_answers import read_recorded
from gemma4_testing.engine_folders.published_gguf import publish
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, TokenType

FORMS = {
    "q4_0": (Kind.Q4_0, Kind.Q8_0), "q8_0": (Kind.Q8_0, None), "q4_k": (Kind.Q4_K, Kind.Q6_K),
    "q6_k": (Kind.Q6_K, None), "bf16": (Kind.BF16, None),
}  # fmt: skip


class Said(SilentReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def build(source: Path, folder: Path, out: Path, **options: Any) -> tuple[BuildResult, str]:
    options.setdefault("skip_verify", True)
    said = Said()
    request = BuildRequest(
        checkpoint=source, tokenizer=folder, out=out, precision="gguf", **options
    )
    return build_engine(request, said), "\n".join(said.lines)


@pytest.fixture(scope="module")
def files(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demo in each of :data:`FORMS`."""
    folder = tmp_path_factory.mktemp("files")
    return {
        name: publish(demo_checkpoint, *kinds).write(folder / f"demo-{name}.gguf")
        for name, kinds in FORMS.items()
    }


@pytest.fixture(scope="module")
def built(
    files: dict[str, Path], demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An engine whose answers were recorded."""
    out = tmp_path_factory.mktemp("built") / "e"
    build(files["q4_k"], demo_checkpoint, out, skip_verify=False)
    return out


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_the_files(
    form: str, files: dict[str, Path], demo_checkpoint: Path, tmp_path: Path
) -> None:
    result, said = build(files[form], demo_checkpoint, tmp_path / "e")
    assert result.status == "built"
    manifest = load_engine_folder(tmp_path / "e", verify_hashes=True).manifest
    assert manifest == result.manifest
    theirs, ours = GGUFReader(files[form]), GGUFReader(tmp_path / "e/model.gguf")
    assert [t.name for t in ours.tensors] == [t.name for t in theirs.tensors]
    for mine, given in zip(ours.tensors, theirs.tensors, strict=True):
        assert (mine.tensor_type, list(mine.shape)) == (given.tensor_type, list(given.shape))
        assert mine.data.tobytes() == given.data.tobytes(), mine.name
    digest = hashlib.sha256(files[form].read_bytes()).hexdigest()
    assert manifest.gguf is not None
    assert (manifest.gguf.file, manifest.gguf.sha256) == (files[form].name, digest)
    assert digest in said
    assert sum(manifest.gguf.types.values()) == len(ours.tensors)
    assert FORMS[form][0].name in manifest.gguf.types
    assert manifest.unverified_reason.startswith(NO_REFERENCE)
    assert "--skip-verify" in manifest.unverified_reason


def test_answers_are_the_files(
    built: Path, files: dict[str, Path], demo_checkpoint: Path, tmp_path: Path
) -> None:
    """The head is another one, which must not change what is computed."""
    manifest = read_manifest(built)
    recorded = read_recorded(built, manifest)
    assert recorded.source == "engine"
    assert manifest.llama_cpp is not None
    found = run_greedy(
        files["q4_k"], [each.prompt for each in recorded.answers],
        options=manifest.llama_cpp, max_tokens=16, top_k=20,
    )  # fmt: skip
    assert [list(each.ids) for each in found] == [each.answer for each in recorded.answers]
    for mine, theirs in zip(recorded.answers, found, strict=True):
        chosen = [dict(top)[token] for token, top in zip(theirs.ids, theirs.top, strict=True)]
        assert mine.log_probs == pytest.approx(chosen, abs=1e-4)


def test_the_manifest_says_what_is_not_known(built: Path, demo_checkpoint: Path) -> None:
    manifest = read_manifest(built)
    assert not manifest.verified and manifest.quality is None and not manifest.first_tokens
    assert manifest.unverified_reason == NO_REFERENCE
    assert manifest.precision == "gguf" and manifest.source.name == "demo-q4_k"
    assert [file.name for file in manifest.source.files] == [*TEXT_FILES, "demo-q4_k.gguf"]
    for name in TEXT_FILES:
        assert (built / name).read_bytes() == (demo_checkpoint / name).read_bytes()


@pytest.mark.parametrize("literal", [True, False])
def test_token_types_are_mended(
    literal: bool, files: dict[str, Path], demo_checkpoint: Path, tmp_path: Path
) -> None:
    build(files["q4_0"], demo_checkpoint, tmp_path / "e", literal_bytes=literal)
    build_engine(
        BuildRequest(
            checkpoint=demo_checkpoint, out=tmp_path / "own", precision="int4", skip_verify=True,
            literal_bytes=literal,
        ),
        SilentReporter(),
    )  # fmt: skip
    key = "tokenizer.ggml.token_type"
    given, mended, own = (
        GGUFReader(path).fields[key].contents()
        for path in (files["q4_0"], tmp_path / "e/model.gguf", tmp_path / "own/model.gguf")
    )
    assert mended == own != given
    assert given.count(TokenType.BYTE) == 256 and given.count(TokenType.USER_DEFINED) == 7
    assert mended.count(TokenType.BYTE) == (0 if literal else 256)


def test_no_key_of_the_file_reaches_the_engine(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    build(files["q4_0"], demo_checkpoint, tmp_path / "e")
    fields = GGUFReader(tmp_path / "e/model.gguf").fields
    assert "general.quantized_by" not in fields and "general.tags" not in fields
    assert fields["general.name"].contents() == "demo-q4_0"
    template = (demo_checkpoint / "chat_template.jinja").read_text()
    assert fields["tokenizer.chat_template"].contents() == template


def test_another_template_is_said(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    _, said = build(files["q4_0"], demo_checkpoint, tmp_path / "e")
    assert "chat template" in said and "gemma4 template" in said
    made = publish(demo_checkpoint, Kind.Q4_0)
    kind, _ = made.keys["tokenizer.chat_template"]
    text = (demo_checkpoint / "chat_template.jinja").read_text()
    made.keys["tokenizer.chat_template"] = (kind, text)
    _, said = build(made.write(tmp_path / "same.gguf"), demo_checkpoint, tmp_path / "f")
    assert "chat template" not in said


def test_again(demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path) -> None:
    source, out = files["q4_0"], tmp_path / "e"
    first = build(source, demo_checkpoint, out)[0]
    inode = (out / "model.gguf").stat().st_ino
    assert build(source, demo_checkpoint, out)[0].status == "up_to_date"
    limits = build(source, demo_checkpoint, out, slots=7)[0]
    assert (limits.status, limits.manifest.limits.slots) == ("updated", 7)
    answered = build(source, demo_checkpoint, out, slots=7, skip_verify=False)[0]
    assert answered.status == "updated" and "quality_gate.json" in answered.manifest.files
    assert answered.manifest.gguf == first.manifest.gguf
    assert (out / "model.gguf").stat().st_ino == inode
    assert read_manifest(out) == answered.manifest
    with pytest.raises(errors.ExistingFolderError, match=r"another build .*--force"):
        build(files["q8_0"], demo_checkpoint, out)
    assert build(files["q8_0"], demo_checkpoint, out, force=True)[0].status == "built"


def test_a_link_of_the_hugging_face_cache(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    """There the name is a link to a file that is called by its hash."""
    link = tmp_path / "snapshots" / "Gemma-Q4_0.gguf"
    link.parent.mkdir()
    link.symlink_to(files["q4_0"])
    assert build(link, demo_checkpoint, tmp_path / "e")[0].manifest.source.name == "Gemma-Q4_0"
    blob = tmp_path / ("0" * 64)
    blob.hardlink_to(files["q4_0"])
    assert build(blob, demo_checkpoint, tmp_path / "f")[0].manifest.source.name == "gemma-4"


def test_the_last_tensor_may_lack_its_padding(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    made = publish(demo_checkpoint, Kind.Q4_0)
    last = made.tensor("blk.5.layer_output_scale.weight")
    made.tensors.remove(last)
    made.tensors.append(last)
    path = made.write(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes()[:-28])
    build(path, demo_checkpoint, tmp_path / "e")
    load_engine_folder(tmp_path / "e", verify_hashes=True)
    assert GGUFReader(tmp_path / "e/model.gguf").tensors[-1].data.tobytes() == made.tensors[-1].data


@contextmanager
def copying_share(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """A file system that shares, as far as the build can see: the kernel's own rules are checked,
    and then the bytes are copied."""
    asked: list[tuple[int, int]] = []

    def ioctl(target: int, request: int, wanted: bytes) -> int:
        assert request == 0x4020940D
        source, begin, length, to = struct.unpack("qQQQ", wanted)
        assert begin % 4096 == length % 4096 == to % 4096 == 0 and length
        assert begin + length <= os.fstat(source).st_size
        asked.append((begin, length))
        while length:
            done = os.copy_file_range(source, target, length, begin, to)
            begin, to, length = begin + done, to + done, length - done
        return 0

    monkeypatch.setattr("gemma4_build.published.share.fcntl.ioctl", ioctl)
    yield asked


def test_shared_and_copied_files_are_the_same(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, said = build(files["q6_k"], demo_checkpoint, tmp_path / "copied")
    assert "copied" in said
    with copying_share(monkeypatch) as asked:
        shared, said = build(files["q6_k"], demo_checkpoint, tmp_path / "shared")
    assert len(asked) == 1 and "shared" in said
    assert shared.written_bytes < 2 * 4096 < copied.written_bytes
    assert shared.written_bytes + asked[0][1] == copied.written_bytes
    assert shared.manifest.files == copied.manifest.files
    load_engine_folder(tmp_path / "shared", verify_hashes=True)


def test_a_full_disk_is_said_before_the_copy(
    demo_checkpoint: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "SPARE_BYTES", 1 << 60)
    with pytest.raises(errors.DiskFullError, match="needed"):
        build(files["q4_0"], demo_checkpoint, tmp_path / "out" / "e")
    assert not list((tmp_path / "out").iterdir())
