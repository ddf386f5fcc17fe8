"""docs/precision.md is made from the table and the plan; `UPDATE_DOCS=1 pytest` on this file writes
it anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gemma4_build.model_spec import parse_config
from gemma4_build.random_checkpoint import PRESETS, config_for
from gemma4_build.trtllm.bytes_needed import COMPUTE_BYTES, KV_ITEM, plan_rank
from gemma4_runtime.trtllm.compatibility import verdict
from gemma4_runtime.trtllm.gpus import GPUS
from gemma4_runtime.trtllm.kv_memory import request_bytes
from gemma4_runtime.trtllm.setup import PRECISIONS

PAGE = Path(__file__).parents[3] / "docs" / "precision.md"
CARDS = ("h100", "h200", "b200", "b300", "rtx-pro-6000", "dgx-spark", "l40s", "a100")
SPLITS = ((1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (8, 1), (8, 8))
TOKENS = 8192

HEAD = """# Which precision on which GPU

Made from the compatibility table (`gemma4_runtime.trtllm.compatibility`) and the size plan
(`gemma4_build.trtllm.bytes_needed`), which `gemma4 build` and `gemma4 doctor` use too.

How sure each line is:

* **ci**: NVIDIA tests it itself.
* **docs**: NVIDIA documents it.
* **code**: read in TensorRT-LLM's source.
* **thread**: an issue or pull request of NVIDIA/TensorRT-LLM (`#` and its number).
* **derived**: concluded from these.

**This project has loaded nothing here into TensorRT-LLM.** What ran:

* on a CPU: quantization to FP8, NVFP4 and INT4 with ModelOpt, the export, and the proof of the
  files, with the demo checkpoint;
* on an H200: FP8 and NVFP4 of the 26B's own layer shapes (6 layers), and FP8 products on its tensor
  cores ([figures](../bench/RESULTS.md#quantizing-for-tensorrt-llm));
* against a test double of TensorRT-LLM: every start, request and failure of the adapter
  ([tensorrt_llm.md](tensorrt_llm.md)).

The sizes below are calculated from the shapes of the published checkpoint.

"experimental" builds and starts, and says so. "no" is refused before anything is read. What the
loader needs is stated, with sources, in `gemma4_runtime.trtllm.loader`.
`tp 4, ep 4` is `--tp 4 --ep 4`. int4 is of the padded checkpoint (768 and 2176 wide on one GPU,
and loads on one GPU only). TensorRT-LLM is the pinned version. `gemma4 doctor --gpu-name X` prints
the same for one card.

"""


def answer(card: str, precision: Any, tp: int, ep: int) -> Any:
    return verdict(gpu=card, precision=precision, tp=tp, ep=ep)


def split_name(tp: int, ep: int) -> str:
    return f"tp {tp}" + (f", ep {ep}" if ep > 1 else "")


def table() -> list[str]:
    """One table with marks, and the reasons behind them."""
    reasons: dict[str, int] = {}
    lines = []
    for precision in PRECISIONS:
        lines += [
            f"## {precision}",
            "| | " + " | ".join(GPUS[card].product for card in CARDS) + " |",
            "|---|" + "---|" * len(CARDS),
        ]
        for tp, ep in SPLITS:
            cells = []
            for card in CARDS:
                found = answer(card, precision, tp, ep)
                marks = []
                for finding in found.findings:
                    if finding.status == found.status:
                        text = f"{finding.reason} [{finding.evidence}]"
                        marks.append(reasons.setdefault(text, len(reasons) + 1))
                cells.append(f"{found.status} ({', '.join(map(str, marks))})")
            lines.append(f"| {split_name(tp, ep)} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## Reasons", *(f"{number}. {text}" for text, number in reasons.items()), ""]
    return lines


def memory() -> list[str]:
    spec = parse_config(config_for(PRESETS["26b"], 262144), where="26b")
    gib = 2**30
    lines = [
        "## Memory of one GPU",
        "Weights as loaded, with the vision tower and a V copy of the full layers' K matrices. The KV",
        f"cache is of one request of {TOKENS:,} tokens. The last columns say how many such requests fit",
        f"beside the weights and {COMPUTE_BYTES / gib:.0f} GiB for everything else (an estimate). All are calculated.",
        "",
        "| | split | weights, GiB | KV a request, MiB | fit in 80 GB | in 141 GB | in 180 GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for precision in PRECISIONS:
        for tp, ep in ((1, 1), (2, 1), (2, 2), (4, 4)):
            if answer("h200", precision, tp, ep).status == "no" and (
                answer("b200", precision, tp, ep).status == "no"
            ):
                continue
            plan = plan_rank(spec, precision, tp=tp, ep=ep)
            each = request_bytes(TOKENS, element_bytes=KV_ITEM[precision], tp=tp)
            fits = [
                max(0, int(size * 1e9 - plan.weights - COMPUTE_BYTES) // each)
                for size in (80, 141, 180)
            ]
            lines.append(
                f"| {precision} | {split_name(tp, ep)} | {plan.weights / gib:.1f} | "
                f"{each / 2**20:.0f} | " + " | ".join(map(str, fits)) + " |"
            )
    return [*lines, ""]


def test_the_page_is_up_to_date() -> None:
    text = HEAD + "\n".join([*table(), *memory()])
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
