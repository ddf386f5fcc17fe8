"""Run an engine that was made from a GGUF file, and record what it answers.

There is nothing to compare it with: its weights were rounded by somebody else. So nothing is said
of its quality. The answers are those by which a server sees later that it computes as it did here.
"""

from __future__ import annotations

import math
from pathlib import Path

from gemma4_runtime.manifest import FileEntry

from gemma4_build.errors import EngineRunError
from gemma4_build.manifest import lacking_memory, llama_cpp_options
from gemma4_build.model_spec import ModelSpec
from gemma4_build.progress import Reporter
from gemma4_build.request import BuildRequest
from gemma4_build.verify.engine_run import Generated, run_greedy
from gemma4_build.verify.gguf_run import TOP_K
from gemma4_build.verify.prompts import load_short_prompts
from gemma4_build.verify.recorded import RECORDED, TOKENS, of_engine, write_recorded

__all__ = ["NO_REFERENCE", "record"]

NO_REFERENCE = (
    "made from a GGUF file, whose weights somebody else rounded: how close it is to the original "
    "is unknown"
)


def record(
    request: BuildRequest, spec: ModelSpec, folder: Path, reporter: Reporter, *, model_bytes: int
) -> tuple[dict[str, FileEntry], str]:
    """Ask the engine in ``folder`` the held-out prompts and write its answers beside it. Returns
    their entry for the manifest and why the engine is not verified. Raises
    :class:`EngineRunError`."""
    if request.skip_verify:
        return {}, f"{NO_REFERENCE}; not run either, because of --skip-verify"
    options = llama_cpp_options(request, spec)
    known = load_short_prompts(folder / "tokenizer.json", window=spec.window)
    prompts = [prompt for prompt in known if prompt.name in RECORDED]
    lengths = (len(prompt.ids) for prompt in prompts)
    if reason := lacking_memory(spec, model_bytes, options, lengths, TOKENS):
        reporter.say(f"Not run: {reason}")
        return {}, f"{NO_REFERENCE}; not run either: {reason}"
    reporter.say(f"Recording answers: {len(prompts)} prompts through llama.cpp")
    generated = run_greedy(
        folder / "model.gguf", [prompt.ids for prompt in prompts],
        options=options, max_tokens=TOKENS, top_k=TOP_K, reporter=reporter,
        title="Recording answers",
    )  # fmt: skip
    _check_finite(request, generated)
    return write_recorded(folder, of_engine(prompts, generated)), NO_REFERENCE


def _check_finite(request: BuildRequest, generated: list[Generated]) -> None:
    values = (value for each in generated for top in each.top for _, value in top)
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise EngineRunError(
            f"{request.checkpoint}: llama.cpp computes probabilities with it that are no numbers; "
            "download it again or take another file"
        )
