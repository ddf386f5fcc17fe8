"""What quantizing layer by layer must equal: ModelOpt on the whole model at once, in memory."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import Any


def quantize_whole(checkpoint: Path, export: Path, recipe: str, samples: list[list[int]]) -> None:
    """As ModelOpt's own examples do it, but for the packing. Imports torch into this process."""
    import modelopt.torch.quantization as mtq
    import torch
    from gemma4_build.trtllm.layerwise.packing import (
        PACK_TOKENS,
        attention_masks,
        pack,
        positions,
    )
    from gemma4_build.trtllm.layerwise.split_experts import split_experts, without_block_sync
    from modelopt.recipe import load_recipe
    from modelopt.torch.export import export_hf_checkpoint, unified_export_hf
    from transformers import Gemma4ForConditionalGeneration

    # As many as the child takes: sums in another order may round otherwise.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    loaded: Any = load_recipe(recipe)
    model = Gemma4ForConditionalGeneration.from_pretrained(
        checkpoint,
        dtype=torch.bfloat16,
        attn_implementation="eager",
        experts_implementation="eager",
    ).eval()
    unchanged = unified_export_hf.sync_moe_gate_up_amax
    if "awq" in recipe:
        split_experts(model)
        without_block_sync()

    def forward(quantized: Any) -> None:
        with torch.inference_mode():
            for texts in pack(samples, PACK_TOKENS["cpu"]):
                lengths = list(map(len, texts))
                window = model.config.text_config.sliding_window
                quantized(
                    input_ids=torch.tensor([list(chain(*texts))]),
                    position_ids=positions(lengths),
                    attention_mask=attention_masks(lengths, window, "cpu"),
                    use_cache=False,
                )

    model = mtq.quantize(model, loaded.quantize.model_dump(), forward)
    try:
        with torch.inference_mode():
            export_hf_checkpoint(model, export_dir=export)
    finally:
        unified_export_hf.sync_moe_gate_up_amax = unchanged
