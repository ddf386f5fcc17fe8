"""FP8 as the build simulates it beside FP8 as a GPU's tensor cores compute it.

``python bench/fp8_tensor_cores.py CHECKPOINT ENGINE``: the bf16 checkpoint and the engine folder that
``gemma4 build --precision fp8`` made of it. Needs an NVIDIA GPU of SM89 or later and torch for it.

The build's quality figures come from a float32 product of numbers rounded to E4M3. A GPU multiplies
the same numbers with fewer bits in its sums. Here the same forward pass runs three ways over the
source's own greedy answers: unquantized, simulated, and with every quantized product on the tensor
cores (``torch._scaled_mm``, one scale a tensor, as the CUTLASS kernels take it). Everything else
(norms, attention, router) stays float32 on the host, so the difference is the products' alone.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from gemma4_build.checkpoint import open_checkpoint, open_tensors
from gemma4_build.model_spec import ModelSpec
from gemma4_build.progress import SilentReporter
from gemma4_build.reference import final_states, project
from gemma4_build.reference.ops import Array
from gemma4_build.reference.weights import EXACT
from gemma4_build.trtllm.decode import E4M3_MAX
from gemma4_build.trtllm.first_tokens import first_tokens
from gemma4_build.trtllm.formats import FP8, linears
from gemma4_build.trtllm.quantized import EngineRounding, QuantizedWeights, Stored, scalar
from gemma4_build.trtllm.weight_error import relative_error
from gemma4_build.verify.metrics import log_softmax
from gemma4_build.verify.prompts import load_short_prompts

LANES = 16
"""The tensor cores want the inner and the output width to be multiples of it."""
DEVICE = "cuda"

WIDTHS = (704, 2112, 2816, 4096, 8192)
"""Inner widths of the 26B's matrices: experts, dense MLP, hidden states, attention outputs."""


class TensorCores(EngineRounding):
    """The simulation, with its products on the GPU."""

    fast = False
    """``use_fast_accum``: sums stay inside the tensor core."""

    def __init__(self, spec: ModelSpec, stored: Stored) -> None:
        super().__init__(spec, FP8, stored, fp8_cache=True)
        self.differences: list[float] = []
        """Relative RMS difference of each product from the float32 one."""
        self._weight_scales: dict[str, set[float]] = defaultdict(set)
        for linear in linears(spec):
            found = scalar(stored[f"{linear.name}.weight_scale"])
            self._weight_scales[linear.source].add(found)

    def product(self, name: str, x: Array, matrix: Array) -> Array:
        exact = super().product(name, x, matrix)
        scale = self._scales.get(name)
        if scale is None:
            return exact
        # Gate and up of an expert lie in one matrix and have a scale each.
        halves = np.split(matrix, 2) if name.endswith("experts.gate_up_proj") else [matrix]
        found = np.concatenate([self._multiply(name, x, scale, half) for half in halves], axis=1)
        self.differences.append(relative_error(found, exact))
        return found

    def _multiply(self, name: str, x: Array, scale: float, matrix: Array) -> Array:
        import torch

        left = exactly_fp8(x, scale)
        if left is None:
            raise ValueError(f"{name}: the inputs are not E4M3 of the scale {scale}")
        # Which expert's matrix it is shows in the scale.
        tried = ((s, exactly_fp8(matrix, s)) for s in self._weight_scales[name])
        weight_scale, right = next((s, found) for s, found in tried if found is not None)
        out = torch._scaled_mm(
            left,
            right.t(),
            scale_a=torch.tensor(scale, device=DEVICE),
            scale_b=torch.tensor(weight_scale, device=DEVICE),
            out_dtype=torch.float32,
            use_fast_accum=self.fast,
        )
        result: Array = out.cpu().numpy()
        return result


class FastTensorCores(TensorCores):
    fast = True


def exactly_fp8(values: Array, scale: float) -> Any:
    """``values`` [rows, width] as E4M3 on the GPU, None if they are not E4M3 times ``scale``. Raises
    :class:`ValueError` for a width that the tensor cores do not take."""
    import torch

    if values.shape[1] % LANES:
        raise ValueError(f"a width of {values.shape[1]} is no multiple of {LANES}")
    wide = torch.from_numpy(np.ascontiguousarray(values)).to(DEVICE) / scale
    small = wide.to(torch.float8_e4m3fn)
    back = small.float()
    # Neighbors of E4M3 are a sixteenth apart, or more.
    return small if bool(((back - wide).abs() <= 1e-4 * back.abs() + 1e-6).all()) else None


def product_error(inner: int, *, fast: bool) -> float:
    """Relative RMS difference of [256, inner] x [512, inner] on the tensor cores from the float64
    product, both of normally distributed numbers rounded to E4M3 with their largest at 448."""
    import torch

    generator = torch.Generator(DEVICE).manual_seed(inner)
    both = []
    for rows in (256, 512):
        wide = torch.randn(rows, inner, generator=generator, device=DEVICE)
        both.append((wide * (E4M3_MAX / wide.abs().max())).to(torch.float8_e4m3fn))
    one = torch.ones((), device=DEVICE)
    left, right = both
    ours = torch._scaled_mm(
        left, right.t(), scale_a=one, scale_b=one, out_dtype=torch.float32, use_fast_accum=fast
    ).double()
    exact = left.double() @ right.double().t()
    return float(((ours - exact).square().mean() / exact.square().mean()).sqrt())


def divergence(p: Array, q: Array) -> tuple[float, float, float]:
    """Mean KL(p, q) in nats, its largest value, and how often both have the same best token."""
    each = np.sum(np.exp(p) * (p - q), axis=1)
    same = p.argmax(axis=1) == q.argmax(axis=1)
    return float(each.mean()), float(each.max()), float(same.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("engine", type=Path)
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9):
        sys.exit("needs an NVIDIA GPU with FP8 (SM89 or later) and a torch that can use it")
    with (
        open_checkpoint(options.checkpoint) as source,
        open_tensors(options.engine / "checkpoint") as (stored, _),
    ):
        spec = source.spec
        prompts = load_short_prompts(options.checkpoint / "tokenizer.json", window=spec.window)
        answers = first_tokens(source, prompts, SilentReporter(), stops=[])
        texts = [[*p.ids, *a.ids[:-1]] for p, a in zip(prompts, answers, strict=True)]
        last = [len(answer.ids) for answer in answers]
        weights = QuantizedWeights.over(spec, FP8, stored)
        ways = {
            "simulation": EngineRounding(spec, FP8, stored, fp8_cache=True),
            "tensor cores": TensorCores(spec, stored),
            "fast sums": FastTensorCores(spec, stored),
        }

        def log_probs(model: Any, rounding: Any) -> Any:
            states = final_states(
                model, texts, last=last, reporter=SilentReporter(), rounding=rounding
            )
            return log_softmax(project(model, states))

        exact = log_probs(source, EXACT)
        found = {name: log_probs(weights, way) for name, way in ways.items()}
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(exact)} positions")
    for name, values in found.items():
        mean, most, same = divergence(exact, values)
        print(f"{name:12} against the source: KL mean {mean:.4f} max {most:.4f}, top-1 {same:.1%}")
    simulated = found["simulation"]
    for name, way in ways.items():
        if not isinstance(way, TensorCores):
            continue
        mean, most, same = divergence(simulated, found[name])
        seen = way.differences
        print(
            f"{name:12} against the simulation: KL mean {mean:.5f} max {most:.5f}, top-1 {same:.1%}; "
            f"{len(seen)} products, relative difference median {np.median(seen):.2e}, "
            f"largest {max(seen):.2e}"
        )
    for inner in WIDTHS:
        errors = (product_error(inner, fast=fast) for fast in (False, True))
        print("inner width {}: relative error {:.2e}, fast sums {:.2e}".format(inner, *errors))


if __name__ == "__main__":
    main()
