"""Quantize a checkpoint with ModelOpt: look at the machine, run the child, report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gemma4_runtime.needs import install_extra

from gemma4_build.errors import BuildError, QuantizationError
from gemma4_build.progress import Reporter
from gemma4_build.trtllm.layerwise.job import Job
from gemma4_build.trtllm.layerwise.packing import PACK_TOKENS

__all__ = [
    "QUANTIZE_PYTHON",
    "RECIPES",
    "Quantized",
    "quantize",
    "quantize_python",
    "require_modelopt",
]

RECIPES = {
    ("fp8", "experts"): "general/ptq/fp8_default-kv_fp8_cast",
    ("nvfp4", "experts"): "general/ptq/nvfp4_experts_only-kv_fp8_cast",
    ("nvfp4", "mlp"): "general/ptq/nvfp4_mlp_only-kv_fp8_cast",
    ("int4", "experts"): "huggingface/gemma4/ptq/w4a8_awq-kv_fp8_cast",
}
"""ModelOpt's own recipes, by precision and what is quantized."""

_LINE_EVERY_S = 10.0
"""Seconds between two lines of progress within a layer."""

_NEEDED = ("modelopt", "torch", "transformers", "jinja2", "jsonschema")
_FIND = """import sys
from importlib.util import find_spec
print(*(name for name in sys.argv[1:] if find_spec(name) is None))"""
QUANTIZE_PYTHON = "GEMMA4_QUANTIZE_PYTHON"
"""Variable of the environment, see :func:`quantize_python`."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """What the child says of its work. ``peak_bytes`` is resident host memory, ``gpu_peak_bytes``
    what torch allocated on the GPU (0 without one)."""

    modelopt: str
    samples: int
    tokens: int
    peak_bytes: int
    gpu_peak_bytes: int
    seconds: float


def quantize_python() -> str:
    """Return the interpreter of the child: ``GEMMA4_QUANTIZE_PYTHON`` where ModelOpt has an
    environment of its own (our GPU image: it and TensorRT-LLM want different setuptools), else
    this one. Raises :class:`BuildError` when that is no program."""
    given = os.environ.get(QUANTIZE_PYTHON, "").strip()
    if given and not os.access(given, os.X_OK):
        raise BuildError(
            f"{QUANTIZE_PYTHON}={given!r}: no program; set it to the python of an environment that "
            "has nvidia-modelopt and this package, or unset it"
        )
    return given or sys.executable


def require_modelopt() -> None:
    """Raise :class:`BuildError` unless what quantizing needs is installed."""
    python = quantize_python()
    done = subprocess.run(
        [python, "-c", _FIND, *_NEEDED], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise BuildError(
            f"{QUANTIZE_PYTHON}={python}: ended with status {done.returncode}: {''.join(words)}"
        )
    for name in done.stdout.split():
        raise BuildError(
            f"{name} is not installed for {python}: {install_extra('quantize', python)}, or build "
            "from a checkpoint that is quantized already"
        )


def quantize(
    checkpoint: Path,
    export: Path,
    *,
    recipe: str,
    samples: list[list[int]],
    device: str,
    reporter: Reporter,
    threads: int | None = None,
) -> Quantized:
    """Quantize ``checkpoint`` with ``recipe`` and write a unified Hugging Face checkpoint to
    ``export``, layer by layer. ``samples`` are token ids.

    What an interrupted call left in ``export`` is used: the layers that were done stay. Raises
    :class:`QuantizationError` with the child's error, or its last words when it was killed."""
    job = Job(
        checkpoint=str(checkpoint),
        export=str(export),
        recipe=recipe,
        samples=samples,
        device=device,
        split_experts="awq" in recipe,
        pack_tokens=PACK_TOKENS[device.partition(":")[0]],
        threads=threads or len(os.sched_getaffinity(0)),
    )
    job.scratch.mkdir(parents=True, exist_ok=True)
    job_file, log = job.scratch / "job.json", job.scratch / "log"
    job.write(job_file)
    command = [quantize_python(), "-m", "gemma4_build.trtllm.ptq_child", str(job_file)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # torch numbers the GPUs as the driver does.
            env={**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        ) as child,
    ):
        try:
            assert child.stdout is not None
            result, error = _listen(child.stdout, reporter)
            status = child.wait()
        finally:
            child.kill()
    if status != 0 or result is None:
        raise QuantizationError(f"ModelOpt failed ({_reason(status)}): {error or _last_words(log)}")
    shutil.rmtree(job.scratch)
    return Quantized(**result)


def _listen(lines: IO[str], reporter: Reporter) -> tuple[dict[str, Any] | None, str]:
    """Show progress until the child ends; its result, if it came, and its error or ""."""
    result, error, progress = None, "", _Progress(reporter)
    for line in lines:
        message = json.loads(line)
        if "result" in message:
            result = message["result"]
        elif "error" in message:
            error = message["error"]
        else:
            progress.show(**message)
    return result, error


class _Progress:
    """A line when a layer begins, and now and then while it calibrates."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._started = self._spoken = time.monotonic()
        self._first: int | None = None

    def show(self, layer: int, layers: int, sample: int = 0, samples: int = 0) -> None:
        """Show progress; ``layer`` counts from 0."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._started = layer, now
        if sample and now - self._spoken < _LINE_EVERY_S:
            return
        self._spoken = now
        text = f"Layer {layer + 1} of {layers}"
        if sample:
            text += f": calibrating, {sample} of {samples} texts"
        elif layer > self._first:
            rate = (now - self._started) / (layer - self._first)
            text += f", {rate * (layers - layer):.0f} s left"
        self._reporter.say(text)


def _reason(status: int) -> str:
    return f"killed by signal {-status}, out of memory?" if status < 0 else f"exit status {status}"


def _last_words(log: Path) -> str:
    lines = log.read_bytes().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no message"
