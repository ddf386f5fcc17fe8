"""What a person sees when the server is ready."""

from __future__ import annotations

import sys

from gemma4_runtime.engines.llama_cpp.instructions import read_instructions
from gemma4_runtime.manifest import Manifest, ManifestLimits
from gemma4_runtime.memory_words import memory_words
from gemma4_runtime.model_name import model_name
from gemma4_runtime.recorded_answers import RECORD_NAME
from gemma4_runtime.weights_words import weights_words

from gemma4_serve.hosts import in_url
from gemma4_serve.process import ServerOptions

__all__ = ["banner"]


def banner(
    options: ServerOptions, manifest: Manifest, *, seconds: float, warning: str | None = None
) -> str:
    """Return text with URLs, engine and lines to copy, and what a person should mend."""
    host = in_url(options.host)
    http_host = in_url(options.http_host)
    ports, limits = options.ports, manifest.limits
    address = f"{host}:{ports.grpc}"
    elsewhere = address != "127.0.0.1:8001"  # the clients' default
    chat = f"{sys.argv[0]} chat" + (f" --url {address}" if elsewhere else "")
    gateway = f"{sys.argv[0]} gateway"
    if elsewhere:
        gateway += f" --backend {address}"
    if options.tls is not None:
        chat = "over HTTP: " + f"{sys.argv[0]} chat --url http://{http_host}:{ports.http}"
        gateway += " --backend-ssl-ca-certs FILE"
        gateway += " --backend-ssl-certfile FILE" if options.tls.ca_certs else ""
    body = '{"messages":"[{\\"role\\":\\"user\\",\\"content\\":\\"What is 7 + 8?\\"}]"}'
    quality = manifest.quality
    verified = (
        f"verified: top-1 {quality.top1_agreement:.1%}, KL {quality.mean_kl:.2g}"
        if quality
        else "not verified"
    )
    if manifest.gguf is not None:
        verified = "closeness to the original unknown: a GGUF file has no float reference"
    if manifest.runtime == "synthetic":
        verified = "no model: tokens at a set pace"
    return "\n".join(
        (
            "",
            f"  Gemma 4 is ready ({seconds:.1f} s)",
            "",
            *([] if warning is None else [f"  Warning: {warning}", ""]),
            f"  model    {model_name(manifest.source.name)}: {_size(manifest)}",
            f"  engine   {options.engine}",
            f"           {manifest.runtime} {manifest.runtime_version}, {manifest.precision}",
            *(
                []
                if manifest.gguf is None
                else [f"           weights {weights_words(manifest.gguf)}"]
            ),
            f"           {verified}",
            f"           {_slots(options, limits)} of {limits.max_total_tokens} tokens",
            *_llama_cpp(options, manifest),
            f"           quality gate: {_gate(options, manifest)}",
            f"  HTTP     http://{http_host}:{ports.http}",
            f"  gRPC     {address}{'' if options.tls is None else f', {_tls(options)}'}",
            f"  metrics  http://{host}:{ports.metrics}/metrics",
            *(
                []
                if ports.health is None
                else [f"  health   http://{host}:{ports.health}/health/ready"]
            ),
            "",
            "  Chat:    " + chat,
            f"  OpenAI:  {gateway}",
            f"  curl -s http://{http_host}:{ports.http}/v2/models/gemma4/generate -d '{body}'",
            "",
            "  Ctrl-C stops: running answers finish first.",
            "",
        )
    )


def _tls(options: ServerOptions) -> str:
    assert options.tls is not None
    return "mutual TLS" if options.tls.ca_certs else "TLS"


def _size(manifest: Manifest) -> str:
    """Return what tells the 26B from the demo."""
    if manifest.runtime == "synthetic":
        return "no weights"
    model, weights = manifest.model, manifest.memory.weight_bytes
    shown = f"{weights / 1e9:.1f} GB" if weights >= 1e9 else f"{weights / 1e6:.0f} MB"
    experts = f", {model.experts} experts" if model.experts else ""
    return f"{model.layers} layers{experts}, {shown} of weights"


def _llama_cpp(options: ServerOptions, manifest: Manifest) -> list[str]:
    if manifest.runtime != "llama_cpp":
        return []
    lines = [f"           memory: {memory_words(manifest, options.slots)}"]
    if instructions := read_instructions():
        lines.append(f"           instructions: {instructions.words()}")
    return lines


def _gate(options: ServerOptions, manifest: Manifest) -> str:
    mode, interval = options.quality_gate, options.quality_gate_interval
    if mode == "off":
        return mode
    if RECORD_NAME not in manifest.files:
        return "skipped, no recorded answers; `gemma4 build` again adds them"
    if interval is None:
        return f"{mode}, at the start and from then on"
    return f"{mode}, at the start" + (f" and every {interval:g} s" if interval else "")


def _slots(options: ServerOptions, limits: ManifestLimits) -> str:
    slots, gpus = options.slots or limits.slots, options.gpu_device_ids
    if gpus is None:
        return f"{slots} slots"
    copies = gpus.count(";") + 1
    return f"{copies * slots} slots, {copies} copies of the model on GPUs {gpus},"
