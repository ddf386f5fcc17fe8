"""Options of ``gemma4 build --runtime tensorrt_llm``, checked as far as they stand alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gemma4_runtime.trtllm.llm_args import PRESETS, Preset
from gemma4_runtime.trtllm.setup import PRECISIONS

from gemma4_build.errors import BadOptionError
from gemma4_build.option_range import check_range

__all__ = [
    "CALIBRATION_LENGTH", "CALIBRATION_SAMPLES", "DEVICES", "NO_GPU_OPTIONS", "GpuOptions",
]  # fmt: skip

DEVICES = ("auto", "cpu", "cuda")
_QUANTIZE = ("experts", "mlp")

CALIBRATION_SAMPLES = 64
"""Texts to calibrate with, at most."""
CALIBRATION_LENGTH = 512
"""Tokens of a text, at most."""
_MOST_CALIBRATION = 1_000_000
"""Texts, and tokens of one."""
_MOST_GPUS = 1024
"""GPUs that share a model: beyond any NVLink domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOptions:
    """``tp`` GPUs share the model; ``ep`` of them split the experts by number instead of by width.
    ``quantize`` is NVFP4's: the experts alone, or the dense MLPs too. ``reference`` is the bf16
    checkpoint that a published quantized one is measured against. ``assistant`` is the folder of
    the MTP draft model. ``warm``: start the engine once it is built.

    Raises :class:`BadOptionError` when made with values that cannot work.
    """

    tp: int = 1
    ep: int = 1
    gpu: str | None = None
    preset: str = "throughput"
    quantize: str | None = None
    pad_experts: bool = False
    calibration: Path | None = None
    calibration_samples: int | None = None
    calibration_length: int | None = None
    device: str | None = None
    reference: Path | None = None
    assistant: Path | None = None
    warm: bool = False

    def check(self, precision: str) -> None:
        """Raise :class:`BadOptionError` for what does not go with ``precision``."""
        _one_of("--precision", precision, PRECISIONS)
        _one_of("--preset", self.preset, PRESETS)
        check_range("--tp", self.tp, 1, _MOST_GPUS)
        if self.ep < 1:
            raise BadOptionError(f"--ep {self.ep}: must be at least 1, or 0 for as many as --tp")
        if self.tp % self.ep:
            raise BadOptionError(f"--ep {self.ep}: must divide --tp {self.tp}")
        if self.quantize is not None:
            _one_of("--quantize", self.quantize, _QUANTIZE)
            if precision != "nvfp4":
                raise BadOptionError(f"--quantize {self.quantize}: is for --precision nvfp4 only")
        if self.device is not None:
            _one_of("--device", self.device, DEVICES)
        if self.pad_experts and precision == "int4":
            raise BadOptionError("--pad-experts: int4 always pads; leave it out")
        check_range("--calibration-samples", self.calibration_samples, 1, _MOST_CALIBRATION)
        check_range("--calibration-length", self.calibration_length, 1, _MOST_CALIBRATION)
        if precision == "bf16":
            self._refuse_quantizing("--precision bf16 quantizes nothing")

    def refuse_for_quantized(self) -> None:
        """Raise :class:`BadOptionError` for options that a finished checkpoint cannot heed."""
        self._refuse_quantizing("the checkpoint is quantized already")
        if self.pad_experts:
            raise BadOptionError(
                "--pad-experts: the checkpoint is quantized already; pad and quantize the bf16 one"
            )

    @property
    def scheme_name(self) -> str:
        """What ``--quantize`` chooses, with its default."""
        return self.quantize or "experts"

    @property
    def samples(self) -> int:
        return self.calibration_samples or CALIBRATION_SAMPLES

    @property
    def length(self) -> int:
        """Most tokens of one calibration sample."""
        return self.calibration_length or CALIBRATION_LENGTH

    def require_preset(self) -> Preset:
        return cast("Preset", self.preset)

    def _refuse_quantizing(self, why: str) -> None:
        given = {
            "--calibration": self.calibration,
            "--calibration-samples": self.calibration_samples,
            "--calibration-length": self.calibration_length,
            "--device": self.device,
        }
        for option, value in given.items():
            if value is not None:
                raise BadOptionError(f"{option}: {why}; leave it out")


NO_GPU_OPTIONS = GpuOptions()
"""All defaults."""


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadOptionError(f"{option} {value}: known are {', '.join(known)}")
