"""From a request to a TensorRT-LLM engine folder: check, pad, quantize, prove, measure, publish."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.manifest import FileEntry, Manifest
from gemma4_runtime.recorded_answers import RECORD_NAME

from gemma4_build.checkpoint import Checkpoint, open_checkpoint, open_tensors
from gemma4_build.errors import BadOptionError, QuantizationError
from gemma4_build.existing import Existing, look_at_target
from gemma4_build.finite import check_finite
from gemma4_build.manifest import keep_template, write_manifest
from gemma4_build.model_spec import ModelSpec
from gemma4_build.progress import Reporter
from gemma4_build.reference.weights import Weights
from gemma4_build.request import BuildRequest, resolve_limits
from gemma4_build.result import BuildResult
from gemma4_build.trtllm.arguments import compose_arguments, write_arguments
from gemma4_build.trtllm.assistant import bring_assistant, check_assistant
from gemma4_build.trtllm.bytes_needed import BuildNeed, build_need
from gemma4_build.trtllm.compatibility_check import Compatibility, check_compatible
from gemma4_build.trtllm.completeness import check_loads, check_stored
from gemma4_build.trtllm.folder import (
    bring_shards,
    copy_text_files,
    hash_files,
    mend_config,
)
from gemma4_build.trtllm.formats import total_bytes
from gemma4_build.trtllm.hf_config import check_quant_config, quantization_of
from gemma4_build.trtllm.manifest import Proof, build_key, compose
from gemma4_build.trtllm.measure import open_reference, prove_close, verify
from gemma4_build.trtllm.memory import choose_device
from gemma4_build.trtllm.pad import write_padded
from gemma4_build.trtllm.prepare import calibration_samples, widths_to_build
from gemma4_build.trtllm.ptq import RECIPES, quantize
from gemma4_build.trtllm.source import Source, open_source
from gemma4_build.trtllm.widths import Widths
from gemma4_build.verify.prompts import load_short_prompts
from gemma4_build.verify.recorded import of_reference, write_recorded
from gemma4_build.workspace import Workspace, check_space, disk_errors, open_workspace

__all__ = ["build_tensorrt_llm"]

CHECKPOINT, ARGUMENTS, PADDED = "checkpoint", "llm_args.yaml", ".padded"
_KEY, _STATE = ".build-key", ".build-state"
_SKIPPED = "skipped by --skip-verify"


def build_tensorrt_llm(request: BuildRequest, reporter: Reporter) -> BuildResult:
    """Build ``request.out``, or say that it is up to date.

    Raises the kinds of :class:`gemma4_build.errors.BuildError`; then nothing is left behind. An
    interrupt leaves a hidden folder next to the target, from which the same request goes on after
    the last whole stage (padding, quantizing) or quantized layer.
    """
    started = time.monotonic()
    options = request.trtllm
    compatibility = check_compatible(request.precision, options)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(request.checkpoint, request.precision, options))
        if source.quantization is None and options.reference is not None:
            raise BadOptionError(
                "--reference: the checkpoint is not quantized, so it is its own; leave it out"
            )
        reference = stack.enter_context(open_reference(options.reference, source.spec))
        assistant = check_assistant(options.assistant, reporter)
        to = widths_to_build(request, source)
        spec = source.spec if to is None else to.apply(source.spec)
        compose_arguments(request.precision, options, resolve_limits(request, spec))
        samples = calibration_samples(request, source)
        key = build_key(request, source, to, samples, assistant)
        found = look_at_target(request.out, key, force=request.force)
        build = _Build(request, source, reference, to, spec, samples, key, compatibility, reporter)
        if found.manifest is not None:
            return build.refresh(found, started)
        return build.run(started)


@dataclass(slots=True)
class _Build:
    request: BuildRequest
    source: Source
    reference: Checkpoint | None
    to: Widths | None
    spec: ModelSpec
    samples: list[list[int]]
    key: str
    compatibility: Compatibility
    reporter: Reporter

    def run(self, started: float) -> BuildResult:
        out = self.request.out
        with open_workspace(out) as work, ExitStack() as stack:
            self._drop_other_build(work)
            self._check_machine(work)
            begun = time.monotonic()
            if not self._stage(work):
                check_finite(self.source.stored.values(), self.reporter, self.request.threads)
            base = self._base(work, stack)
            self._weights(work, base)
            self._prove(work, self.reference if base is None else base)
            converted = time.monotonic() - begun
            copy_text_files(self.source.folder, work.folder)
            bring_assistant(self.request.trtllm.assistant, work.folder, self.reporter)
            proof = self._verify(work.folder / CHECKPOINT)
            self._write_arguments(work.folder)
            self._record(work.folder, proof)
            files = hash_files(work.folder, self.reporter, self.request.threads)
            manifest = self._manifest(files, proof)
            write_manifest(work.folder, manifest)
            stack.close()
            shutil.rmtree(work.folder / PADDED, ignore_errors=True)
            work.publish(scratch=(_KEY, _STATE))
        written = sum(entry.size for entry in manifest.files.values())
        read = sum(shard.size for shard in self.source.shards)
        seconds = time.monotonic() - started
        return BuildResult("built", out, manifest, seconds, converted, read, written)

    def refresh(self, found: Existing, started: float) -> BuildResult:
        """Bring arguments, limits and proof up to what was asked for."""
        old, out = found.require(), self.request.out
        proof = Proof(old.quality, old.unverified_reason, old.first_tokens)
        if not (self.request.skip_verify or old.first_tokens):
            proof = self._verify(out / CHECKPOINT)
        files = old.files
        if RECORD_NAME not in files:
            with disk_errors(out):
                files = files | self._record(out, proof)
        new = keep_template(self._manifest(files, proof), old)
        same = new.model_copy(
            update={
                "created_at": old.created_at, "tool_version": old.tool_version, "warm": old.warm,
            }
        )  # fmt: skip
        arguments = out / ARGUMENTS
        with disk_errors(out):
            if same == old and arguments.exists():
                return BuildResult("up_to_date", out, old, time.monotonic() - started)
            fresh = out / f".{ARGUMENTS}.new"
            self._write_arguments(out, fresh.name)
            if arguments.exists() and arguments.read_bytes() != fresh.read_bytes():
                kept = arguments.replace(out / f"{ARGUMENTS}.old")
                self.reporter.say(f"The former arguments are kept in {kept.name}")
            fresh.replace(arguments)
            write_manifest(out, new)
        return BuildResult("updated", out, new, time.monotonic() - started)

    def _drop_other_build(self, work: Workspace) -> None:
        key_file = work.folder / _KEY
        if not key_file.exists() or key_file.read_text() != self.key:
            work.clear()
        key_file.write_text(self.key)

    def _check_machine(self, work: Workspace) -> None:
        need, stage = self._need(), self._stage(work)
        if stage != "exported" and not self._links(work):
            wanted = need.output_bytes + need.scratch_bytes - work.size()
            check_space(work, max(0, wanted))
        if need.quantize and self.source.quantization is None and stage != "exported":
            choose_device(self.request.trtllm.device or "auto", need.quantize)

    def _need(self) -> BuildNeed:
        lengths = [len(sample) for sample in self.samples]
        return build_need(
            self.source.spec, self.request.precision,
            quantize=self.request.trtllm.scheme_name, to=self.to,
            tokens=sum(lengths), longest=max(lengths, default=0),
        )  # fmt: skip

    def _links(self, work: Workspace) -> bool:
        """Return whether the source's shards need no space of their own."""
        unchanged = self.source.quantization is not None or self.source.scheme is None
        here = work.folder.stat().st_dev
        return (
            unchanged
            and self.to is None
            and all(shard.path.stat().st_dev == here for shard in self.source.shards)
        )

    def _stage(self, work: Workspace) -> str:
        state = work.folder / _STATE
        return str(json.loads(state.read_text())["stage"]) if state.exists() else ""

    def _note(self, work: Workspace, stage: str) -> None:
        (work.folder / _STATE).write_text(json.dumps({"stage": stage}))

    def _base(self, work: Workspace, stack: ExitStack) -> Checkpoint | None:
        """Return the bf16 checkpoint that is linked or quantized; None if the source is
        quantized."""
        if self.source.quantization is not None:
            return None
        if self.to is None:
            return stack.enter_context(open_checkpoint(self.source.folder))
        folder = work.folder / PADDED
        if self._stage(work):
            self.reporter.say("Going on after the padding of an interrupted build")
            return stack.enter_context(open_checkpoint(folder))
        padded_checkpoint = self._pad(folder, stack)
        self._note(work, "padded")
        return padded_checkpoint

    def _pad(self, folder: Path, stack: ExitStack) -> Checkpoint:
        assert self.to is not None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with open_checkpoint(self.source.folder) as original:
            write_padded(original, self.to, folder, self.reporter)
        copy_text_files(self.source.folder, folder, config=False)
        return stack.enter_context(open_checkpoint(folder))

    def _weights(self, work: Workspace, base: Checkpoint | None) -> None:
        target = work.folder / CHECKPOINT
        if self._stage(work) == "exported":
            self.reporter.say("Going on after the quantizing of an interrupted build")
        elif base is None or self.source.scheme is None:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            self._bring(base, target)
        else:
            self._quantize(base, target)
            self._note(work, "exported")
        folder = self.source.folder if base is None else base.folder
        mend_config(folder, target, self.source)

    def _bring(self, base: Checkpoint | None, target: Path) -> None:
        if base is None or base.folder == self.source.folder:
            bring_shards(self.source, target, self.reporter)
            if base is None:
                shutil.copyfile(self.source.folder / "config.json", target / "config.json")
            return
        for path in base.folder.glob("*.safetensors*"):
            shutil.copyfile(path, target / path.name)

    def _quantize(self, base: Checkpoint, target: Path) -> None:
        options, scheme = self.request.trtllm, self.request.trtllm.scheme_name
        need = self._need().quantize
        assert need is not None
        device = choose_device(options.device or "auto", need)
        recipe = RECIPES[self.request.precision, scheme]
        self.reporter.say(
            f"Quantizing on {device} with ModelOpt, recipe {recipe}, {len(self.samples)} texts"
        )
        done = quantize(
            base.folder, target,
            recipe=recipe, samples=self.samples, device=device,
            reporter=self.reporter, threads=self.request.threads,
        )  # fmt: skip
        self.reporter.say(
            f"Quantized by ModelOpt {done.modelopt}: {done.tokens} tokens of calibration, "
            f"{done.seconds:.0f} s, {done.peak_bytes / 1e9:.2f} GB of memory at most"
            + (f", {done.gpu_peak_bytes / 1e9:.2f} GB on the GPU" if done.gpu_peak_bytes else "")
        )

    def _prove(self, work: Workspace, exact: Checkpoint | None) -> None:
        folder, scheme = work.folder / CHECKPOINT, self.source.scheme
        options = self.request.trtllm
        split = {"tp": options.tp, "ep": options.ep}
        if scheme is None:
            with open_checkpoint(folder) as whole:
                check_loads(self.spec, None, whole.tensors, self.request.precision, **split)
                return
        with open_tensors(folder) as (stored, _):
            size = check_stored(self.spec, scheme, stored)
            check_loads(self.spec, scheme, stored, self.request.precision, **split)
        least = total_bytes(self.spec, scheme)
        if size < least:
            raise QuantizationError(f"{size} bytes of tensors, the shapes make {least}")
        quantization = quantization_of(folder)
        if quantization is None:
            raise QuantizationError(f"{folder.name} does not say how it is quantized")
        check_quant_config(quantization, self.spec, scheme)
        self.reporter.say(f"Proven: every tensor of {scheme.name}, {size / 1e9:.2f} GB")
        if exact is not None:
            worst = prove_close(exact, scheme, folder, self.reporter, self.request.threads)
            self.reporter.say(f"Largest relative error of a matrix: {worst:.3f}")

    def _verify(self, folder: Path) -> Proof:
        if self.request.skip_verify:
            return Proof(None, _SKIPPED, [])
        exact: Weights | None = self.source
        if self.source.quantization is not None:
            exact = self.reference
        return verify(self.source, exact, self.spec, folder, self.request.precision, self.reporter)

    def _record(self, folder: Path, proof: Proof) -> dict[str, FileEntry]:
        """Record what the source answered: no engine runs in a build."""
        prompts = load_short_prompts(folder / "tokenizer.json", window=self.source.spec.window)
        recorded = of_reference(prompts, proof.first_tokens)
        return {} if recorded is None else write_recorded(folder, recorded)

    def _write_arguments(self, folder: Path, name: str = ARGUMENTS) -> None:
        limits = resolve_limits(self.request, self.spec)
        write_arguments(folder / name, self.request.precision, self.request.trtllm, limits)

    def _manifest(self, files: dict[str, FileEntry], proof: Proof) -> Manifest:
        return compose(
            self.request,
            self.source,
            spec=self.spec,
            key=self.key,
            compatibility=self.compatibility,
            files=files,
            proof=proof,
        )
