"""From a GGUF file and the tokenizer files of the model to an engine folder for llama.cpp."""

from __future__ import annotations

import shutil
import time
from collections import Counter

from gemma4_runtime.manifest import FileEntry, GgufWeights, Manifest
from gemma4_runtime.one_line import one_line
from gemma4_runtime.recorded_answers import RECORD_NAME
from gguf import LlamaFileType

from gemma4_build.checkpoint import TEXT_FILES
from gemma4_build.existing import look_at_target
from gemma4_build.gguf_header import padding_for, write_header
from gemma4_build.manifest import (
    build_key,
    compose,
    file_entries,
    write_manifest,
)
from gemma4_build.model_name import checkpoint_name
from gemma4_build.progress import Reporter
from gemma4_build.published.head import GgufHead
from gemma4_build.published.record import record
from gemma4_build.published.share import BLOCK
from gemma4_build.published.source import Published, open_published
from gemma4_build.published.take import TakenFile, take_tensors
from gemma4_build.refresh import refresh
from gemma4_build.request import BuildRequest, resolve_limits
from gemma4_build.result import BuildResult
from gemma4_build.workspace import Workspace, check_space, disk_errors, open_workspace

__all__ = ["build_published"]

_MODEL = "model.gguf"


def build_published(request: BuildRequest, reporter: Reporter) -> BuildResult:
    """Build ``request.out`` from the GGUF file ``request.checkpoint``; raises what
    :func:`gemma4_build.pipeline.build_engine` does."""
    started = time.monotonic()
    with open_published(request) as source:
        resolve_limits(request, source.spec)
        key = build_key(request, source.sources)
        found = look_at_target(request.out, key, force=request.force)
        if found.manifest is not None:
            return _refresh(request, source, found.manifest, reporter, started)
        _say_template(request, source, reporter)
        with open_workspace(request.out) as work:
            work.clear()
            taken = _take(request, source, work, reporter)
            seconds = time.monotonic() - started
            for name in TEXT_FILES:
                shutil.copyfile(request.text_folder / name, work.folder / name)
            files = {_MODEL: FileEntry(size=taken.size, sha256=taken.sha256)}
            files |= file_entries(work.folder, TEXT_FILES)
            recorded, reason = record(
                request, source.spec, work.folder, reporter, model_bytes=taken.size
            )
            manifest = _manifest(
                request, source, files | recorded, reason, _weights(source, taken.source_sha256)
            )
            write_manifest(work.folder, manifest)
            work.publish()
        return BuildResult(
            "built", request.out, manifest, time.monotonic() - started, seconds,
            source.file.size, taken.copied,
        )  # fmt: skip


def _take(
    request: BuildRequest, source: Published, work: Workspace, reporter: Reporter
) -> TakenFile:
    """Write model.gguf: our own head, and the file's tensors."""
    file, head = source.file, source.head
    model = work.folder / _MODEL

    def write(padding: int) -> int:
        return write_header(
            model,
            name=checkpoint_name(request.checkpoint),
            spec=source.spec,
            vocabulary=source.vocabulary,
            file_type=_file_type(head),
            tensors=head.tensors,
            literal_bytes=request.literal_bytes,
            padding=padding,
        )

    write(padding_for(write(0), head.data_start, BLOCK))
    taken = take_tensors(
        file, head, model, reporter=reporter, make_room=lambda needed: check_space(work, needed)
    )
    if taken.copied > file.size / 2:
        where = f"{taken.copied / 1e9:.2f} GB copied, since the disk cannot share them"
    else:
        where = f"all but {taken.copied / 1e6:.2f} MB shared with it on the disk"
    reporter.say(f"Taken: the weights of {file.path.name} as they are; {where}")
    reporter.say(f"SHA-256 of {file.path.name}: {taken.source_sha256}")
    return taken


def _file_type(head: GgufHead) -> int:
    told = head.keys.get("general.file_type")
    known = {int(each) for each in LlamaFileType}
    return told if isinstance(told, int) and told in known else int(LlamaFileType.GUESSED)


def _say_template(request: BuildRequest, source: Published, reporter: Reporter) -> None:
    inside = source.head.keys.get("tokenizer.chat_template")
    if inside is not None and inside != source.vocabulary.chat_template:
        reporter.say(
            f"The chat template in {request.checkpoint.name} is another one than that of "
            f"{request.text_folder}, which is used; `gemma4 template` replaces it"
        )


def _weights(source: Published, sha256: str) -> GgufWeights:
    types = Counter(tensor.kind.name for tensor in source.head.tensors)
    return GgufWeights(
        file=one_line(source.file.path.name), sha256=sha256, types=dict(sorted(types.items()))
    )


def _refresh(
    request: BuildRequest, source: Published, old: Manifest, reporter: Reporter, started: float
) -> BuildResult:
    """Bring limits and recorded answers up to what was asked for."""
    out, files, reason = request.out, old.files, old.unverified_reason
    if not request.skip_verify and RECORD_NAME not in files:
        size = files[_MODEL].size
        with disk_errors(out):
            recorded, reason = record(request, source.spec, out, reporter, model_bytes=size)
        files = files | recorded
    return refresh(out, old, _manifest(request, source, files, reason, old.gguf), started)


def _manifest(
    request: BuildRequest,
    source: Published,
    files: dict[str, FileEntry],
    reason: str,
    weights: GgufWeights | None,
) -> Manifest:
    return compose(
        request,
        source.spec,
        sources=source.sources,
        eos_ids=source.vocabulary.eos_ids,
        files=files,
        quality=None,
        unverified_reason=reason,
        weights=weights,
    )
