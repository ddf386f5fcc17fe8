"""Engine folders of the synthetic runtime: tokenizer files and a pace, no weights."""

from __future__ import annotations

import shutil
import time

from gemma4_runtime.manifest import FileEntry, Manifest
from gemma4_runtime.output.vocab import load_token_table
from gemma4_runtime.recorded_answers import RECORD_NAME

from gemma4_build.checkpoint import TEXT_FILES, check_text_files, source_files
from gemma4_build.existing import look_at_target
from gemma4_build.manifest import (
    build_key,
    compose,
    file_entries,
    write_manifest,
)
from gemma4_build.model_spec import read_config
from gemma4_build.refresh import refresh
from gemma4_build.request import BuildRequest, resolve_limits
from gemma4_build.result import BuildResult
from gemma4_build.verify.prompts import load_short_prompts
from gemma4_build.verify.recorded import of_synthetic, write_recorded
from gemma4_build.vocabulary import read_vocabulary
from gemma4_build.workspace import disk_errors, open_workspace

__all__ = ["build_synthetic"]

_NO_MODEL = "the synthetic runtime has no model"


def build_synthetic(request: BuildRequest) -> BuildResult:
    """Build a synthetic engine folder; the checkpoint's weights are neither needed nor read."""
    started = time.monotonic()
    folder = request.checkpoint
    check_text_files(folder, weights=False)
    spec = read_config(folder)
    vocabulary = read_vocabulary(folder, spec)
    resolve_limits(request, spec)
    sources = source_files(folder, ())

    def manifest(files: dict[str, FileEntry]) -> Manifest:
        return compose(
            request,
            spec,
            sources=sources,
            eos_ids=vocabulary.eos_ids,
            files=files,
            quality=None,
            unverified_reason=_NO_MODEL,
        )

    tokenizer = folder / "tokenizer.json"
    recorded = of_synthetic(
        load_short_prompts(tokenizer, window=spec.window), load_token_table(tokenizer).special
    )
    found = look_at_target(request.out, build_key(request, sources), force=request.force)
    if found.manifest is not None:
        old = found.manifest
        files = old.files
        if RECORD_NAME not in files:
            with disk_errors(request.out):
                files = files | write_recorded(request.out, recorded)
        return refresh(request.out, old, manifest(files), started)
    with open_workspace(request.out) as work:
        work.clear()
        for name in TEXT_FILES:
            shutil.copyfile(folder / name, work.folder / name)
        files = file_entries(work.folder, TEXT_FILES) | write_recorded(work.folder, recorded)
        new = manifest(files)
        write_manifest(work.folder, new)
        work.publish()
    return BuildResult("built", request.out, new, time.monotonic() - started)
