"""``gemma4 build``: a checkpoint becomes an engine folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gemma4_cli.fail import missing

if TYPE_CHECKING:
    from gemma4_build.request import BuildRequest
    from gemma4_build.result import BuildResult

__all__ = ["build"]

_LLAMA = "Only for --runtime llama_cpp (CPU)"
_GPU = "Only for --runtime tensorrt_llm (GPU)"
_SYNTHETIC = "Only for --runtime synthetic"


def build(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of the Hugging Face checkpoint, or a GGUF file.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Engine folder to make.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="For a GGUF file: folder with config.json, tokenizer, template of the model.",
            rich_help_panel=_LLAMA,
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="llama_cpp, tensorrt_llm or synthetic.")
    ] = "llama_cpp",
    precision: Annotated[
        str | None,
        typer.Option(
            help="CPU: f32, bf16, int8 (default) or int4. TensorRT-LLM: bf16 (default), fp8, nvfp4 "
            "or int4 (experimental)."
        ),
    ] = None,
    slots: Annotated[int, typer.Option(help="Requests that run at once.")] = 4,
    max_queued: Annotated[int, typer.Option(help="Requests that may wait.")] = 64,
    max_total_tokens: Annotated[
        int | None, typer.Option(help="Prompt and answer of one request; default 8192 at most.")
    ] = None,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt; default one below the total.")
    ] = None,
    prefill_batch: Annotated[
        int | None,
        typer.Option(
            help="Prompt tokens at a time; default: measured where it serves.",
            rich_help_panel=_LLAMA,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another engine folder.")] = False,
    skip_verify: Annotated[
        bool, typer.Option("--skip-verify", help="Do not measure; the manifest says so.")
    ] = False,
    byte_tokens: Annotated[
        str | None,
        typer.Option(
            help="literal (default: streams every id) or byte (llama.cpp's own type).",
            rich_help_panel=_LLAMA,
        ),
    ] = None,
    prefill_tokens_per_s: Annotated[
        float | None,
        typer.Option(
            help="Pace of the synthetic runtime; default 20000.", rich_help_panel=_SYNTHETIC
        ),
    ] = None,
    decode_tokens_per_s: Annotated[
        float | None,
        typer.Option(
            help="Pace of the synthetic runtime; default 200.", rich_help_panel=_SYNTHETIC
        ),
    ] = None,
    tokens_per_step: Annotated[
        int | None,
        typer.Option(
            help="Tokens that the synthetic runtime gives at once; default 1.",
            rich_help_panel=_SYNTHETIC,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="For converting (default 4 at most) or quantizing."),
    ] = None,
    tp: Annotated[
        int | None, typer.Option(help="GPUs that share the model.", rich_help_panel=_GPU)
    ] = None,
    ep: Annotated[
        int | None,
        typer.Option(
            help="Of these, GPUs that split the experts by number; 0: all.", rich_help_panel=_GPU
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="GPU to build for, such as h100, h200 or b200.", rich_help_panel=_GPU),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="latency, throughput (default) or long-context.", rich_help_panel=_GPU),
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="nvfp4: experts (default) or mlp, the dense MLPs too.", rich_help_panel=_GPU
        ),
    ] = None,
    pad_experts: Annotated[
        bool,
        typer.Option(
            "--pad-experts",
            help="Pad MLPs with zeros so that --tp divides them.",
            rich_help_panel=_GPU,
        ),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines of messages or text to calibrate with.", rich_help_panel=_GPU
        ),
    ] = None,
    calibration_samples: Annotated[
        int | None,
        typer.Option(help="Most texts to calibrate with; default 64.", rich_help_panel=_GPU),
    ] = None,
    calibration_length: Annotated[
        int | None,
        typer.Option(help="Most tokens of one of them; default 512.", rich_help_panel=_GPU),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Quantize on auto (default), cpu or cuda.", rich_help_panel=_GPU),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="bf16 checkpoint to measure a quantized one against.", rich_help_panel=_GPU
        ),
    ] = None,
    assistant: Annotated[
        Path | None,
        typer.Option(
            help="MTP draft model; there is no guided decoding with it.", rich_help_panel=_GPU
        ),
    ] = None,
    warm: Annotated[
        bool,
        typer.Option(
            "--warm",
            help="Start it once on this machine's GPUs and measure it.",
            rich_help_panel=_GPU,
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Convert a checkpoint for a runtime, measure it, and write an engine folder.

    Exit status: 0 built or up to date, 1 failure, 2 bad options or checkpoint, 130 interrupted
    (the same command goes on where it was).
    """
    try:
        from gemma4_build.errors import BadOptionError, BuildError
        from gemma4_build.gpu_options import GpuOptions
        from gemma4_build.request import AS_PUBLISHED, BuildRequest, is_gguf
    except ImportError as error:
        _fail(missing(error, extra="build"), 1, as_json)
    try:
        model_options = {
            "--precision": precision,
            "--byte-tokens": byte_tokens,
            "--threads": threads,
            "--prefill-batch": prefill_batch,
            "--skip-verify": skip_verify or None,
        }
        given = [name for name, value in model_options.items() if value is not None]
        if runtime == "synthetic" and given:
            raise BadOptionError(f"{given[0]}: the synthetic runtime has no model; leave it out")
        gpu_options: dict[str, Any] = {
            "tp": tp, "ep": (tp or 1) if ep == 0 else ep, "gpu": gpu, "preset": preset,
            "quantize": quantize,
            "pad_experts": pad_experts or None, "calibration": calibration,
            "calibration_samples": calibration_samples, "calibration_length": calibration_length,
            "device": device, "reference": reference, "assistant": assistant, "warm": warm or None,
        }  # fmt: skip
        gpu_options = {name: value for name, value in gpu_options.items() if value is not None}
        if gpu_options and runtime != "tensorrt_llm":
            option = next(iter(gpu_options)).replace("_", "-")
            raise BadOptionError(f"--{option}: is for --runtime tensorrt_llm only")
        if runtime == "tensorrt_llm" and byte_tokens is not None:
            raise BadOptionError("--byte-tokens: is for --runtime llama_cpp only")
        if byte_tokens not in (None, "literal", "byte"):
            raise BadOptionError(f"--byte-tokens {byte_tokens}: known are literal, byte")
        default = "bf16" if runtime == "tensorrt_llm" else "int8"
        if is_gguf(checkpoint):
            default = AS_PUBLISHED
        request = BuildRequest(
            checkpoint=checkpoint,
            out=out,
            runtime=runtime,
            tokenizer=tokenizer,
            precision=precision or default,
            slots=slots,
            max_queued=max_queued,
            max_total_tokens=max_total_tokens,
            max_prompt_tokens=max_prompt_tokens,
            prefill_batch=prefill_batch,
            force=force,
            skip_verify=skip_verify,
            literal_bytes=byte_tokens != "byte",
            prefill_tokens_per_s=prefill_tokens_per_s,
            decode_tokens_per_s=decode_tokens_per_s,
            tokens_per_step=tokens_per_step,
            threads=threads,
            trtllm=GpuOptions(**gpu_options),
        )
        result = _run(request, quiet=as_json)
    except BuildError as error:
        _fail(str(error), error.exit_code, as_json)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where it was", 130, as_json)
    _show(result, as_json=as_json)


def _run(request: BuildRequest, *, quiet: bool) -> BuildResult:
    from gemma4_build.pipeline import build_engine
    from gemma4_build.progress import ConsoleReporter, SilentReporter

    reporter = SilentReporter() if quiet else ConsoleReporter(Console(stderr=True))
    return build_engine(request, reporter)


def _fail(message: str, code: int, as_json: bool) -> Any:
    """Print one line and leave."""
    if as_json:
        typer.echo(json.dumps({"status": "failed", "error": message, "exit_code": code}))
    else:
        typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


def _show(result: BuildResult, *, as_json: bool) -> None:
    from gemma4_runtime.memory_words import memory_words
    from gemma4_runtime.weights_words import weights_words

    manifest = result.manifest
    if as_json:
        report = {
            "status": result.status,
            "path": str(result.path),
            "runtime": manifest.runtime,
            "precision": manifest.precision,
            "verified": manifest.verified,
            "unverified_reason": manifest.unverified_reason,
            "experimental": manifest.experimental,
            "gguf": None if manifest.gguf is None else manifest.gguf.model_dump(),
            "warm": None if manifest.warm is None else manifest.warm.model_dump(),
            "quality": None if manifest.quality is None else manifest.quality.model_dump(),
            "bytes": sum(entry.size for entry in manifest.files.values()),
            "memory_bytes": manifest.memory.total(
                slots=manifest.limits.slots, max_total_tokens=manifest.limits.max_total_tokens
            ),
            "read_bytes": result.read_bytes,
            "written_bytes": result.written_bytes,
            "convert_seconds": round(result.convert_seconds, 3),
            "seconds": round(result.seconds, 3),
        }
        typer.echo(json.dumps(report))
        return
    what = {"built": "built", "up_to_date": "is up to date", "updated": "manifest updated"}
    typer.echo(f"{result.path} {what[result.status]}: {manifest.runtime}, {manifest.precision}")
    if manifest.runtime == "llama_cpp":
        typer.echo(f"needs {memory_words(manifest)} of memory")
    if manifest.gguf is not None:
        typer.echo(f"weights {weights_words(manifest.gguf)}, SHA-256 {manifest.gguf.sha256}")
    if manifest.experimental:
        typer.echo(f"experimental: {manifest.experimental}")
    if manifest.warm is not None:
        warm = manifest.warm
        rates = ", ".join(f"{size}: {rate:.0f}" for size, rate in warm.tokens_per_s.items())
        typer.echo(
            f"warm on {warm.gpu or 'an unknown device'}: first token after "
            f"{warm.ttft_s * 1000:.0f} ms, tokens/s by batch size {rates}"
        )
    if manifest.quality is None:
        typer.echo(f"not verified: {manifest.unverified_reason}")
        return
    quality = manifest.quality
    typer.echo(
        f"verified on {quality.positions} tokens: mean KL {quality.mean_kl:.2e} nats, "
        f"top-1 agreement {quality.top1_agreement:.1%}, "
        f"largest change of a log-probability {quality.max_abs_delta_logprob:.3g}"
    )
