"""From a request to an engine folder: check, convert, verify, publish."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from gemma4_runtime.input.template_check import TemplateError, check_template
from gemma4_runtime.manifest import FileEntry, Manifest, SourceFile
from gemma4_runtime.recorded_answers import RECORD_NAME

from gemma4_build.build_time import build_time
from gemma4_build.checkpoint import TEXT_FILES, Checkpoint, open_checkpoint, source_files
from gemma4_build.convert import convert_tensors, resume_point
from gemma4_build.errors import TokenizerError
from gemma4_build.existing import Existing, look_at_target
from gemma4_build.gguf_header import write_header
from gemma4_build.gguf_tensors import plan_tensors
from gemma4_build.manifest import (
    build_key,
    compose,
    file_entries,
    lacking_memory,
    llama_cpp_options,
    write_manifest,
)
from gemma4_build.model_name import checkpoint_name
from gemma4_build.precision import PRECISIONS
from gemma4_build.progress import Reporter
from gemma4_build.published.build import build_published
from gemma4_build.refresh import refresh
from gemma4_build.request import BuildRequest, is_gguf, resolve_limits
from gemma4_build.result import BuildResult
from gemma4_build.synthetic import build_synthetic
from gemma4_build.trtllm.pipeline import build_tensorrt_llm
from gemma4_build.verify import verify_gguf
from gemma4_build.verify.gguf_run import MAX_TOKENS, Verification
from gemma4_build.verify.prompts import load_prompts
from gemma4_build.verify.recorded import write_recorded
from gemma4_build.vocabulary import Vocabulary, read_vocabulary
from gemma4_build.warm import warm_engine
from gemma4_build.workspace import Workspace, check_space, disk_errors, open_workspace

__all__ = ["build_engine", "build_gguf"]

MODEL = "model.gguf"
_KEY, _STATE, _HEADER = ".build-key", ".build-state", ".header"


def build_engine(request: BuildRequest, reporter: Reporter) -> BuildResult:
    """Build ``request.out``, or say that it is up to date.

    Raises the kinds of :class:`gemma4_build.errors.BuildError`; then nothing is left behind. An
    interrupt leaves a hidden folder next to the target, from which the same request goes on.
    """
    build_time()  # a wrong SOURCE_DATE_EPOCH is found before the work, not after it
    _check_template(request.text_folder / "chat_template.jinja")
    if request.runtime == "synthetic":
        return build_synthetic(request)
    if request.runtime == "tensorrt_llm":
        result = build_tensorrt_llm(request, reporter)
        if request.trtllm.warm:
            result = replace(result, manifest=warm_engine(result.path, result.manifest, reporter))
        return result
    if is_gguf(request.checkpoint):
        return build_published(request, reporter)
    with open_checkpoint(request.checkpoint) as checkpoint:
        return build_gguf(request, checkpoint, reporter)


def build_gguf(request: BuildRequest, checkpoint: Checkpoint, reporter: Reporter) -> BuildResult:
    """Build for llama.cpp from an opened ``checkpoint``; raises what :func:`build_engine` does."""
    started = time.monotonic()
    vocabulary = read_vocabulary(
        checkpoint.folder, checkpoint.spec, literal_bytes=request.literal_bytes
    )
    resolve_limits(request, checkpoint.spec)
    sources = source_files(checkpoint.folder, checkpoint.shards)
    found = look_at_target(request.out, build_key(request, sources), force=request.force)
    build = _Build(request, checkpoint, vocabulary, sources, reporter)
    if found.manifest is not None:
        return build.refresh(found, started)
    return build.run(started)


def _check_template(path: Path) -> None:
    """Check the template; one that is missing is found with the other files."""
    if not path.is_file():
        return
    try:
        check_template(path)
    except TemplateError as error:
        raise TokenizerError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Build:
    request: BuildRequest
    checkpoint: Checkpoint
    vocabulary: Vocabulary
    sources: list[SourceFile]
    reporter: Reporter

    def run(self, started: float) -> BuildResult:
        with open_workspace(self.request.out) as work:
            begun = time.monotonic()
            model, read_bytes, written = self._convert(work)
            converted = time.monotonic() - begun
            self.reporter.say(
                f"Converted: {read_bytes / 1e9:.2f} GB read, {written / 1e9:.2f} GB written, "
                f"{converted:.1f} s"
            )
            files = {MODEL: model, **self._copy_text_files(work.folder)}
            proof, reason = self._verify(work.folder / MODEL)
            files |= _recorded(work.folder, proof)
            manifest = self._manifest(files, proof, reason)
            write_manifest(work.folder, manifest)
            work.publish(scratch=(_KEY, _STATE))
        seconds = time.monotonic() - started
        return BuildResult(
            "built", self.request.out, manifest, seconds, converted, read_bytes, written
        )

    def refresh(self, found: Existing, started: float) -> BuildResult:
        """Bring limits and verification up to what was asked for."""
        old, out = found.require(), self.request.out
        proof, reason = None, old.unverified_reason
        if not self.request.skip_verify and (old.quality is None or RECORD_NAME not in old.files):
            proof, reason = self._verify(out / MODEL)
        if proof is None and old.quality is not None:
            proof, reason = Verification(old.quality, old.first_tokens), old.unverified_reason
        with disk_errors(out):
            files = old.files | _recorded(out, proof)
        return refresh(out, old, self._manifest(files, proof, reason), started)

    def _convert(self, work: Workspace) -> tuple[FileEntry, int, int]:
        spec, folder = self.checkpoint.spec, work.folder
        precision = PRECISIONS[self.request.precision]
        tensors = plan_tensors(spec, self.checkpoint.rules, precision)
        self._drop_other_build(work)
        state, model, header = folder / _STATE, folder / MODEL, folder / _HEADER
        size = write_header(
            header,
            name=checkpoint_name(self.request.checkpoint),
            spec=spec,
            vocabulary=self.vocabulary,
            file_type=precision.file_type,
            tensors=tensors,
            literal_bytes=self.request.literal_bytes,
        )
        done = resume_point(state) if _starts_with(model, header) else 0
        if done:
            header.unlink()
            self.reporter.say(f"Going on after {done / 1e9:.2f} GB of an interrupted build")
        else:
            state.unlink(missing_ok=True)
            header.replace(model)
        check_space(work, size + tensors[-1].end - max(done, size))
        result = convert_tensors(
            self.checkpoint,
            tensors,
            path=model,
            header_size=size,
            state_path=state,
            reporter=self.reporter,
            threads=self.request.threads or min(4, len(os.sched_getaffinity(0))),
        )
        entry = FileEntry(size=result.size, sha256=result.sha256)
        return entry, result.read_bytes, result.written_bytes

    def _drop_other_build(self, work: Workspace) -> None:
        """Remove what an interrupted build of something else left."""
        key_file, key = work.folder / _KEY, build_key(self.request, self.sources)
        if not key_file.exists() or key_file.read_text() != key:
            work.clear()
        key_file.write_text(key)

    def _copy_text_files(self, folder: Path) -> dict[str, FileEntry]:
        for name in TEXT_FILES:
            shutil.copyfile(self.checkpoint.folder / name, folder / name)
        return file_entries(folder, TEXT_FILES)

    def _verify(self, model: Path) -> tuple[Verification | None, str]:
        if self.request.skip_verify:
            return None, "skipped by --skip-verify"
        options = llama_cpp_options(self.request, self.checkpoint.spec)
        prompts = load_prompts(
            self.checkpoint.folder / "tokenizer.json", window=self.checkpoint.spec.window
        )
        reason = lacking_memory(
            self.checkpoint.spec,
            model.stat().st_size,
            options,
            (len(prompt.ids) for prompt in prompts),
            MAX_TOKENS,
        )
        if reason:
            self.reporter.say(f"Not verified: {reason}")
            return None, reason
        proof = verify_gguf(
            self.checkpoint,
            model,
            precision=self.request.precision,
            options=options,
            reporter=self.reporter,
        )
        return proof, ""

    def _manifest(
        self, files: dict[str, FileEntry], proof: Verification | None, reason: str
    ) -> Manifest:
        return compose(
            self.request,
            self.checkpoint.spec,
            sources=self.sources,
            eos_ids=self.vocabulary.eos_ids,
            files=files,
            quality=None if proof is None else proof.quality,
            first_tokens=[] if proof is None else proof.first_tokens,
            unverified_reason=reason,
        )


def _recorded(folder: Path, proof: Verification | None) -> dict[str, FileEntry]:
    if proof is None or proof.answers is None:
        return {}
    return write_recorded(folder, proof.answers)


def _starts_with(path: Path, beginning: Path) -> bool:
    """Return whether ``path`` exists and begins with the content of ``beginning``."""
    wanted = beginning.read_bytes()
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(len(wanted)) == wanted
