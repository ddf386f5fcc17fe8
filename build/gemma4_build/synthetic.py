"""Engine folders of the synthetic runtime: tokenizer files and a pace, no weights."""

from __future__ import annotations

import shutil
import time

from gemma4_build.checkpoint import TEXT_FILES, check_text_files, source_files
from gemma4_build.existing import look_at_target
from gemma4_build.manifest import (
    build_key,
    compose,
    file_entries,
    keep_template,
    write_manifest,
)
from gemma4_build.model_spec import read_config
from gemma4_build.request import BuildRequest, resolve_limits
from gemma4_build.result import BuildResult
from gemma4_build.vocabulary import read_vocabulary
from gemma4_build.workspace import disk_errors, open_workspace

__all__ = ["build_synthetic"]

_NO_MODEL = "the synthetic runtime has no model"


def build_synthetic(request: BuildRequest) -> BuildResult:
    """Build a synthetic engine folder; the checkpoint's weights are neither needed nor read."""
    started = time.monotonic()
    folder = request.checkpoint
    check_text_files(folder)
    spec = read_config(folder)
    vocabulary = read_vocabulary(folder, spec)
    resolve_limits(request, spec)
    sources = source_files(folder, ())

    new = compose(
        request,
        spec,
        sources=sources,
        eos_ids=vocabulary.eos_ids,
        files=file_entries(folder, TEXT_FILES),
        quality=None,
        unverified_reason=_NO_MODEL,
    )
    found = look_at_target(request.out, build_key(request, sources), force=request.force)
    if found.manifest is not None:
        old = found.manifest
        new = keep_template(new, old)
        same = new.model_copy(
            update={"created_at": old.created_at, "tool_version": old.tool_version}
        )
        if same == old:
            return BuildResult("up_to_date", request.out, old, time.monotonic() - started)
        with disk_errors(request.out):
            write_manifest(request.out, new)
        return BuildResult("updated", request.out, new, time.monotonic() - started)
    with open_workspace(request.out) as work:
        work.clear()
        for name in TEXT_FILES:
            shutil.copyfile(folder / name, work.folder / name)
        write_manifest(work.folder, new)
        work.publish()
    return BuildResult("built", request.out, new, time.monotonic() - started)
