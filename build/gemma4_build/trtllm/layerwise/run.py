"""The loop over the layers. Needs torch, transformers and ModelOpt."""

from __future__ import annotations

import gc
import json
import resource
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import modelopt
import modelopt.torch.quantization as mtq
import torch
import transformers
from modelopt.recipe import load_recipe
from modelopt.torch.quantization.nn import TensorQuantizer

from gemma4_build.checkpoint import Checkpoint, open_checkpoint
from gemma4_build.shards import open_shard
from gemma4_build.trtllm.hf_config import QUANT_CONFIG, write_json
from gemma4_build.trtllm.layerwise.export import export_layer
from gemma4_build.trtllm.layerwise.job import Job
from gemma4_build.trtllm.layerwise.layer_model import build_layer, forward_layer
from gemma4_build.trtllm.layerwise.names import shard_name
from gemma4_build.trtllm.layerwise.outside import copy_outside, outside_modules
from gemma4_build.trtllm.layerwise.packing import pack
from gemma4_build.trtllm.layerwise.quant_config import LayerConfig, merge
from gemma4_build.trtllm.layerwise.split_experts import split_experts, without_block_sync
from gemma4_build.trtllm.layerwise.states import States, embed, load_states, save_states
from gemma4_build.trtllm.pad import INDEX

__all__ = ["Send", "run"]

Send = Callable[..., None]
"""Takes the fields of a message to the parent."""


def run(job: Job, send: Send) -> dict[str, Any]:
    """Quantize ``job.checkpoint`` into ``job.export``, and say what it took.

    Goes on after the last whole layer of an interrupted run of the same job, by what it left in
    ``job.scratch``."""
    torch.set_num_threads(job.threads)
    transformers.utils.logging.disable_progress_bar()
    if job.split_experts:
        without_block_sync()
    with open_checkpoint(Path(job.checkpoint)) as checkpoint:
        _Run(job, checkpoint, send).all_layers()
    on_gpu = job.device.startswith("cuda")
    return {
        "modelopt": modelopt.__version__,
        "samples": len(job.samples),
        "tokens": sum(map(len, job.samples)),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "gpu_peak_bytes": torch.cuda.max_memory_allocated(job.device) if on_gpu else 0,
    }


class _Run:
    def __init__(self, job: Job, checkpoint: Checkpoint, send: Send) -> None:
        self.job, self.checkpoint, self.send = job, checkpoint, send
        self.layers = checkpoint.spec.layers
        recipe: Any = load_recipe(job.recipe)
        self.config: dict[str, Any] = recipe.quantize.model_dump()
        algorithm = self.config["algorithm"]
        self.max_only = algorithm == "max" or algorithm["method"] == "max"
        self.packs = pack(job.samples, job.pack_tokens)
        self.digest = job.digest(modelopt.__version__, torch.__version__, transformers.__version__)

    def all_layers(self) -> None:
        states, first = self._start()
        for layer in range(first, self.layers):
            self.send(layer=layer, layers=self.layers)
            states = self._layer(layer, states)
            save_states(states, self._states_file, layer=layer + 1, digest=self.digest)
        self._finish()

    @property
    def _states_file(self) -> Path:
        return self.job.scratch / "states.safetensors"

    def _config_file(self, layer: int) -> Path:
        return self.job.scratch / f"layer-{layer}.json"

    def _shard(self, layer: int | None) -> Path:
        return self.job.folder / shard_name(layer, self.layers)

    def _start(self) -> tuple[States, int]:
        found = load_states(self._states_file, digest=self.digest)
        if found is not None:
            return found
        copy_outside(self.checkpoint, self._shard(None))
        states = embed(self.checkpoint, [list(chain(*texts)) for texts in self.packs])
        save_states(states, self._states_file, layer=0, digest=self.digest)
        return states, 0

    def _layer(self, layer: int, states: States) -> States:
        """Quantize and write ``layer``; ``states`` after it, computed with the source's weights."""
        model = build_layer(self.checkpoint, layer, self.job.device)
        if self.job.split_experts:
            split_experts(model)
        after: States = []

        def calibrate(quantized: Any) -> None:
            first_pass = not after
            if self.max_only:
                _keep_weight_ranges(quantized)
            with torch.inference_mode():
                done, samples = 0, len(self.job.samples)
                for texts, state in zip(self.packs, states, strict=True):
                    lengths = list(map(len, texts))
                    output = forward_layer(quantized, state.to(self.job.device), lengths)
                    if first_pass:
                        after.append(output.cpu())
                    done += len(texts)
                    self.send(layer=layer, layers=self.layers, sample=done, samples=samples)

        model = mtq.quantize(model, self.config, calibrate)
        config = export_layer(model, layer, self._shard(layer), self.job.scratch / "export")
        self._config_file(layer).write_text(json.dumps(asdict(config)))
        del model
        gc.collect()
        if self.job.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return after

    def _finish(self) -> None:
        configs = [
            LayerConfig(**json.loads(self._config_file(layer).read_text()))
            for layer in range(self.layers)
        ]
        whole = merge(configs, outside_modules(self.checkpoint))
        write_json(self.job.folder / QUANT_CONFIG, whole.details)
        write_json(self.job.folder / "config.json", {"quantization_config": whole.summary})
        weights: dict[str, str] = {}
        size = 0
        for layer in (None, *range(self.layers)):
            shard = self._shard(layer)
            with closing(open_shard(shard)) as file:
                weights |= dict.fromkeys(file.tensors, shard.name)
                size += sum(tensor.read_size for tensor in file.tensors.values())
        write_json(
            self.job.folder / INDEX, {"metadata": {"total_size": size}, "weight_map": weights}
        )


def _keep_weight_ranges(model: Any) -> None:
    """Keep the ranges of the weights. ModelOpt's max_calibrate looks at every weight before it runs
    the texts, and would at each text again, which takes longer than the rest (256 matrices of
    experts in a layer)."""
    for name, module in model.named_modules():
        if isinstance(module, TensorQuantizer) and "weight_quantizer" in name:
            module.disable_calib()
