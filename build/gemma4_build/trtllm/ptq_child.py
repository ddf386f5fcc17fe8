"""Quantize with ModelOpt, in a process of its own: the only place where torch is imported.

``python -m gemma4_build.trtllm.ptq_child JOB.json`` reads the job, writes an exported checkpoint to
its ``export`` and one JSON object a line to standard output: ``{"title", "done", "total"}`` while
it works and ``{"result": {...}}`` at the end. Everything else goes to standard error. It ends when
its standard input does, that is with its parent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any


class _Channel:
    """Lines to the parent. ModelOpt prints to standard output, so that is moved away first."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, **message: object) -> None:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()


def _end_with_parent() -> None:
    # Not sys.stdin: a thread inside its lock makes the interpreter abort at exit.
    while os.read(0, 1):
        pass
    os._exit(1)


def _load(job: dict[str, Any]) -> Any:
    import torch
    from transformers import Gemma4ForConditionalGeneration

    place = {} if job["device"] == "cpu" else {"device_map": {"": job["device"]}}
    # ModelOpt sees the experts' matrices only when they go through F.linear one by one.
    model, report = Gemma4ForConditionalGeneration.from_pretrained(
        job["checkpoint"],
        dtype=torch.bfloat16,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
        local_files_only=True,
        **place,
    )
    lost = {key: sorted(value) for key, value in report.items() if value}
    if lost:
        raise RuntimeError(f"transformers did not load the whole checkpoint: {lost}")
    return model.eval()


def _config(job: dict[str, Any]) -> dict[str, Any]:
    from modelopt.recipe import load_recipe

    recipe: Any = load_recipe(job["recipe"])
    config: dict[str, Any] = recipe.quantize.model_dump()
    return config


def _run(job: dict[str, Any], channel: _Channel) -> dict[str, Any]:
    import modelopt
    import modelopt.torch.quantization as mtq
    import torch
    from modelopt.torch.export import export_hf_checkpoint

    torch.set_num_threads(job["threads"])
    samples: list[list[int]] = job["samples"]
    config = _config(job)
    model = _load(job)
    if job["split_experts"]:
        from gemma4_build.trtllm.split_experts import split_experts, without_block_sync

        split_experts(model)
        without_block_sync()
    seen = 0

    def forward(quantized: Any) -> None:
        nonlocal seen
        with torch.inference_mode():
            for sample in samples:
                ids = torch.tensor([sample], device=job["device"])
                quantized(input_ids=ids, use_cache=False)
                seen += 1
                channel.send(title="Calibrating", done=seen % len(samples), total=len(samples))

    model = mtq.quantize(model, config, forward)
    channel.send(title="Exporting", done=0, total=1)
    with torch.inference_mode():
        export_hf_checkpoint(model, export_dir=job["export"])
    return {
        "modelopt": modelopt.__version__,
        "samples": len(samples),
        "tokens": sum(map(len, samples)),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main(job_file: Path) -> None:
    """Do the job; errors go to standard error as Python prints them."""
    channel = _Channel()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    started = time.monotonic()
    result = _run(json.loads(job_file.read_bytes()), channel)
    channel.send(result={**result, "seconds": time.monotonic() - started})
    # ModelOpt and torch leave threads behind; everything is written.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
