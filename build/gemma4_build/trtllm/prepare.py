"""What a request means for this checkpoint: widths to pad to, texts to calibrate with."""

from __future__ import annotations

from gemma4_build.errors import BadOptionError
from gemma4_build.request import BuildRequest
from gemma4_build.trtllm.ptq import require_modelopt
from gemma4_build.trtllm.source import Source
from gemma4_build.trtllm.widths import Widths, check_split, padded, widths

__all__ = ["calibration_samples", "widths_to_build"]


def calibration_samples(request: BuildRequest, source: Source) -> list[list[int]]:
    """Return the calibration texts as token ids; none where nothing is quantized.

    Raises :class:`BadOptionError`, and :class:`gemma4_build.errors.BuildError` without ModelOpt."""
    if source.quantization is not None or source.scheme is None:
        return []
    require_modelopt()
    from gemma4_build.trtllm.calibration import calibration_ids

    options = request.trtllm
    return calibration_ids(
        source.folder, options.calibration, samples=options.samples, length=options.length
    )


def widths_to_build(request: BuildRequest, source: Source) -> Widths | None:
    """Return the widths to pad to; None to leave them. Raises :class:`BadOptionError`."""
    options, spec, scheme = request.trtllm, source.spec, source.scheme
    pads = source.quantization is None and (options.pad_experts or request.precision == "int4")
    if not pads:
        check_split(
            spec, request.precision, scheme,
            tp=options.tp, ep=options.ep, quantized=source.quantization is not None,
        )  # fmt: skip
        return None
    to = padded(spec, request.precision, scheme, tp=options.tp, ep=options.ep)
    check_split(to.apply(spec), request.precision, scheme, tp=options.tp, ep=options.ep)
    if to == widths(spec):
        if options.pad_experts:
            raise BadOptionError(
                f"--pad-experts: {request.precision} with --tp {options.tp} --ep {options.ep} "
                "needs no padding; leave it out"
            )
        return None
    return to
