"""``LLM``: checks as the API does, queues, and hands to the decoder."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Lock
from typing import Any

from gemma4_runtime.trtllm.api import ApiError, check_arguments
from gemma4_runtime.trtllm.loader.folder import read_folder
from gemma4_runtime.trtllm.loader.rules import violations
from gemma4_runtime.trtllm.loader.shape import Cut
from tokenizers import Tokenizer

from tensorrt_llm import faults
from tensorrt_llm.decoder import open_decoder
from tensorrt_llm.executor import EngineDeadError, RequestError
from tensorrt_llm.iteration_stats import DraftedSteps
from tensorrt_llm.kv_pool import KvPool
from tensorrt_llm.outputs import RequestOutput
from tensorrt_llm.records import as_dict
from tensorrt_llm.requests import Stream, to_request
from tensorrt_llm.sampling_params import SamplingParams
from tensorrt_llm.seeds import Seeds


def visible_gpus() -> int:
    """Of TRTLLM_DOUBLE_GPUS, those that CUDA_VISIBLE_DEVICES lets through."""
    count = int(os.environ.get("TRTLLM_DOUBLE_GPUS", "8"))
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return count
    return sum(int(name) < count for name in filter(None, shown.split(",")))


class LLM:
    """The PyTorch backend's LLM."""

    def __init__(self, **arguments: Any) -> None:
        from tensorrt_llm.llmapi import TorchLlmArgs

        self.args = TorchLlmArgs(**arguments)
        self._args = as_dict(self.args)
        for name in ("kv_cache_config", "speculative_config", "cuda_graph_config"):
            self._args[name] = _filled(name, self._args[name])
        self._faults = faults.load()
        self._check()
        model = Path(self.args.model)
        if not (model / "config.json").is_file() or not any(model.glob("*.safetensors")):
            raise ValueError(f"{model} is no Hugging Face checkpoint")
        self._check_loads(model)
        self._vocab_size = _text_config(model)["vocab_size"]
        self.tokenizer = None
        if not self.args.skip_tokenizer_init:
            self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
            config = json.loads((model / "tokenizer_config.json").read_text())
            self._eos = self.tokenizer.token_to_id(config["eos_token"])
        if "start_error" in self._faults:
            raise RuntimeError(self._faults["start_error"])
        self._decoder = open_decoder(model, self._args)
        draft = self._args["speculative_config"]
        self.drafted = DraftedSteps(draft["max_draft_len"]) if draft else None
        self._ids = itertools.count(1)
        self._lock = Lock()
        self._streams: dict[str, Stream] = {}
        self._dead: Exception | None = None
        self._seeds = Seeds()
        self._pool = KvPool(self._args)
        self._told: dict[str, Any] | None = None
        self._shut_down = False

    def _check(self) -> None:
        args = self._args
        gpus, needed = visible_gpus(), args["tensor_parallel_size"]
        assert args["pipeline_parallel_size"] == 1, "Gemma 4: pp_size must be 1"
        assert args["context_parallel_size"] == 1, "Gemma 4: cp_size must be 1"
        if gpus == 0:
            raise RuntimeError("No CUDA GPUs are available")
        if gpus < needed:
            raise RuntimeError(f"Only {gpus} GPUs are available, but {needed} are required.")
        if args["guided_decoding_backend"] and args["speculative_config"]:
            raise ValueError("guided decoding is not supported together with this MTP assistant")
        if args["guided_decoding_backend"] and args["skip_tokenizer_init"]:
            raise ValueError("guided decoding needs a tokenizer")
        draft = args["speculative_config"]
        if draft and not (Path(draft["speculative_model"] or "") / "config.json").is_file():
            raise ValueError(f"speculative model {draft['speculative_model']} is no checkpoint")

    def _check_loads(self, model: Path) -> None:
        """Refuse what TensorRT-LLM cannot load right, by the rules that the table and the build
        ask. Of some of these it makes a wrong model without a word; the double never does."""
        args = self._args
        shape, precision, dense = read_folder(model)
        cut = Cut(
            precision=precision,
            dense_quantized=dense,
            tp=args["tensor_parallel_size"],
            ep=args["moe_expert_parallel_size"] or 1,
            attention_dp=args["enable_attention_dp"],
        )
        for found in violations(shape, cut):
            raise RuntimeError(f"{model} does not load right: {found.reason} ({found.source})")

    def generate_async(self, inputs: Any, sampling_params: Any = None, **options: Any) -> Any:
        """Accept a request. Raises what the API raises at once: ValueError, TypeError,
        RuntimeError when the LLM shuts down, :class:`EngineDeadError`."""
        try:
            check_arguments(
                "LLM.generate_async",
                {"inputs": inputs, "sampling_params": sampling_params} | options,
            )
        except ApiError as error:
            raise TypeError(str(error)) from None
        for name, value in options.items():
            if name not in ("streaming", "priority", "cache_salt") and value is not None:
                raise NotImplementedError(f"the double does not do generate_async({name}=...)")
        if self._shut_down:
            raise RuntimeError("LLM is shutting down")
        if self._dead is not None:
            raise self._dead
        params = SamplingParams() if sampling_params is None else sampling_params
        if not isinstance(params, SamplingParams):
            raise TypeError("sampling_params must be a SamplingParams")
        if params.end_id is None:
            if self.tokenizer is None:
                raise ValueError("tokenizer is required to reset end_id if it is None")
            params.end_id = self._eos
        prompt, ids = self._prompt(inputs)
        chunked, step = self._args["enable_chunked_prefill"], self._args["max_num_tokens"]
        if not chunked and len(ids) > step:
            raise ValueError(
                f"prompt length ({len(ids)}) should not exceed max_num_tokens ({step})"
            )
        return self._start(prompt, ids, params, streaming=options.get("streaming", False))

    def _start(
        self, prompt: str | None, ids: list[int], params: SamplingParams, *, streaming: bool
    ) -> RequestOutput:
        request_id = next(self._ids)
        key = str(request_id)
        output = RequestOutput(
            request_id, prompt, ids, params,
            abort=lambda: self._decoder.cancel(key),
            decode=self.tokenizer.decode if self.tokenizer is not None else None,
            perf_metrics=params.return_perf_metrics or self._args["return_perf_metrics"],
        )  # fmt: skip
        if "unguided" in self._faults:
            params.guided_decoding = None
        with self._lock:
            seed = self._seeds.start(key, None if "seedless" in self._faults else params.seed)
        try:
            request = to_request(
                key, ids, params, seed=seed, args=self._args, vocab_size=self._vocab_size
            )
        except RequestError as error:
            self.forget(key)
            output.put(error)
            return output
        stream = Stream(
            self, key, output, params,
            interval=self._args["stream_interval"] if streaming else None,
        )  # fmt: skip
        with self._lock:
            self._streams[key] = stream
        if params.prompt_ignore_length:
            self._decoder.ignored[key] = params.prompt_ignore_length
        self._decoder.submit(request, stream)
        return output

    def _prompt(self, inputs: Any) -> tuple[str | None, list[int]]:
        if isinstance(inputs, dict):
            if "multi_modal_data" in inputs:
                raise NotImplementedError("the double has no images")
            inputs = (
                inputs["prompt_token_ids"] if "prompt_token_ids" in inputs else inputs["prompt"]
            )
        if isinstance(inputs, list):
            return None, inputs
        if self.tokenizer is None:
            raise ValueError("a text prompt needs a tokenizer")
        return inputs, self.tokenizer.encode(inputs).ids

    def generate(self, inputs: Any, sampling_params: Any = None) -> Any:
        """One prompt, or a list of them, to the end."""
        single = not isinstance(inputs, list) or isinstance(inputs[0], int)
        outputs = [
            self.generate_async(each, sampling_params) for each in ([inputs] if single else inputs)
        ]
        done = [output.result() for output in outputs]
        return done[0] if single else done

    def get_stats(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """The iterations since the last call; empty unless ``enable_iter_perf_stats``. The executor
        has an entry for each iteration, so an idle one has none: then this waits for ``timeout``
        seconds."""
        if not self._args["enable_iter_perf_stats"] or "no_statistics" in self._faults:
            return []
        entry = self._iteration()
        drafted = self.drafted.rows() if self.drafted else []
        if entry == self._told and not entry["numActiveRequests"] and not drafted:
            time.sleep(2 if timeout is None else timeout)
            return []
        self._told = entry
        return [*drafted, entry]

    def _iteration(self) -> dict[str, Any]:
        stats = self._decoder.stats()
        with self._lock:
            used, total = self._pool.used, self._pool.blocks
        blocks = {"usedNumBlocks": used, "freeNumBlocks": total - used, "maxNumBlocks": total}
        return {"iter": stats.finished, "numActiveRequests": stats.active, "kvCacheStats": blocks}

    async def get_stats_async(self, timeout: float | None = 2) -> AsyncIterator[dict[str, Any]]:
        """As synchronous inside as TensorRT-LLM's: the wait of ``get_stats`` blocks the loop."""
        for entry in self.get_stats(timeout):
            yield entry
            await asyncio.sleep(0)

    def shutdown(self) -> None:
        if not self._shut_down:
            self._shut_down = True
            self._decoder.close()

    def _check_health(self) -> bool:
        """What NVIDIA's own server polls (TensorRT-LLM #12718)."""
        return self._dead is None and not self._shut_down

    def forget(self, key: str) -> None:
        with self._lock:
            self._streams.pop(key, None)
            self._seeds.end(key)
            self._pool.end(key)

    def grow(self, key: str, tokens: int) -> Exception | None:
        """Called for every token; the executor ends when its KV cache cannot go on."""
        with self._lock:
            cause = self._pool.grow(key, tokens)
            if cause is None or self._dead is not None:
                return self._dead
            self._dead = EngineDeadError(cause)
            streams = list(self._streams.values())
        for stream in streams:
            stream.die(self._dead)
        return self._dead

    def commit_fault(self, generated: int) -> Exception | None:
        """Called for every token; what the request's stream must end with."""
        fault = faults.due(self._faults, generated)
        if fault == "kill_at":
            os._exit(66)
        if fault == "fail_at":
            found: Exception | None = RequestError(f"injected at token {generated}")
            return found
        if fault in ("die_at", "mute_at") and self._dead is None:
            self._dead = EngineDeadError(f"the executor died at token {generated}")
            with self._lock:
                streams = list(self._streams.values())
            for stream in streams:
                stream.die(self._dead if fault == "die_at" else None)
        return None


def _filled(name: str, value: Any) -> Any:
    """A nested configuration given as a mapping, with its defaults."""
    from tensorrt_llm import llmapi

    classes = {
        "kv_cache_config": llmapi.KvCacheConfig,
        "speculative_config": llmapi.MTPDecodingConfig,
        "cuda_graph_config": llmapi.CudaGraphConfig,
    }
    return as_dict(classes[name](**value)) if value is not None else None


def _text_config(model: Path) -> dict[str, Any]:
    data = json.loads((model / "config.json").read_text())
    found: dict[str, Any] = data.get("text_config", data)
    return found
