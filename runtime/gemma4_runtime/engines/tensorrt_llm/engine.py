"""TensorRT-LLM through its LLM API, PyTorch backend, one worker process for each set of GPUs.

Requests wait in our own bounded queue, where a cancel is free, until a worker has a slot;
TensorRT-LLM batches what it was given (in-flight batching). The least loaded worker gets the next.
When a worker is lost its streams fail at once, the queue fails, and nothing more is accepted: the
process is then restarted as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Lock

from gemma4_runtime.engines.base import EngineInfo, EngineStats, TokenSink
from gemma4_runtime.engines.queue import Job, RequestQueue
from gemma4_runtime.engines.tensorrt_llm.caches import cache_environment, cache_folder
from gemma4_runtime.engines.tensorrt_llm.replica import Replica
from gemma4_runtime.engines.tensorrt_llm.sampling import Features, refuse
from gemma4_runtime.engines.tensorrt_llm.wire import (
    Cancel,
    Drafted,
    Event,
    Failed,
    Finished,
    KvUse,
    Lost,
    Start,
    Submit,
    Tokens,
)
from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.messages import GenerationRequest
from gemma4_runtime.trtllm.gpu_sets import GpuError, first_gpu_name
from gemma4_runtime.trtllm.kv_memory import KV_BLOCK_TOKENS
from gemma4_runtime.trtllm.llm_args import LlmArgsError
from gemma4_runtime.trtllm.start_plan import Plan, make_plan

__all__ = ["TensorRtLlmEngine"]


class TensorRtLlmEngine:
    """``slots`` is for each copy of the model. ``gpu_device_ids`` None: one copy on the GPUs that
    are visible. Raises :class:`RuntimeError` when the engine does not start, with the cause."""

    def __init__(
        self,
        folder: Path,
        *,
        precision: str,
        version: str,
        slots: int,
        max_queued: int,
        max_total_tokens: int,
        vocab_size: int,
        pad_id: int,
        gpu_device_ids: str | None = None,
        any_version: bool = False,
        cache_dir: Path | None = None,
    ) -> None:
        try:
            plan = make_plan(
                folder,
                slots=slots,
                max_total_tokens=max_total_tokens,
                gpu_device_ids=gpu_device_ids,
            )
        except (LlmArgsError, GpuError) as error:
            raise RuntimeError(str(error)) from None
        self._features = Features.of(plan.args)
        self._lock = Lock()
        self._jobs: dict[str, tuple[Job, Replica]] = {}
        self._closing = False
        self._kv: dict[Replica, KvUse] = {}
        self._drafted: dict[Replica, Drafted] = {}
        cache = plan.args.get("kv_cache_config") or {}
        self._kv_block_tokens = int(cache.get("tokens_per_block") or KV_BLOCK_TOKENS)
        start = Start(str(folder), version, any_version, pad_id, vocab_size)
        caches = _caches(cache_dir, version, precision, plan)
        self._replicas, found = _start(start, plan.gpu_sets, caches)
        info = EngineInfo(
            runtime="tensorrt_llm",
            version=found,
            precision=precision,
            slots=slots * len(self._replicas),
            max_queued=max_queued,
            max_total_tokens=max_total_tokens,
            vocab_size=vocab_size,
            speculative=self._features.mtp,
            copies=len(self._replicas),
        )
        self._queue = RequestQueue(info, on_submit=self._dispatch)
        for replica in self._replicas:
            replica.listen(self._on_event)

    @property
    def info(self) -> EngineInfo:
        return self._queue.info

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        refuse(request.sampling, self._features)
        self._queue.submit(request, sink)

    def cancel(self, key: str) -> None:
        self._queue.cancel(key)
        with self._lock:
            running = self._jobs.get(key)
            if running is not None:
                running[1].send(Cancel(key))

    def stats(self) -> EngineStats:
        uses, drafted = list(self._kv.values()), list(self._drafted.values())
        return replace(
            self._queue.stats(),
            kv_blocks_used=sum(use.used for use in uses),
            kv_blocks=sum(use.total for use in uses),
            kv_block_tokens=self._kv_block_tokens,
            drafts=sum(each.drafts for each in drafted),
            draft_tokens=sum(each.tokens for each in drafted),
            accepted_tokens=sum(each.accepted for each in drafted),
        )

    def drain(self) -> None:
        self._queue.drain()

    def close(self) -> None:
        self._queue.drain()
        self._closing = True
        self._queue.cancel_all()
        for replica in self._replicas:
            replica.close()
        self._queue.close()

    def _dispatch(self) -> None:
        """Give waiting requests to workers while there are slots."""
        with self._lock:
            while (job := self._queue.take(wait=False)) is not None:
                request = job.request
                if request.check:
                    replica = self._replicas[request.check - 1]
                else:
                    replica = min(self._replicas, key=lambda each: each.running)
                self._jobs[request.key] = (job, replica)
                replica.running += 1
                salt = request.key if request.check else None  # the gate computes prompts anew
                replica.send(Submit(request.key, request.input_ids, request.sampling, salt))
                if job.cancelled:  # between take and here nobody could tell the worker
                    replica.send(Cancel(request.key))

    def _on_event(self, replica: Replica, event: Event) -> None:
        """Take an event, in the thread that listens to ``replica``. What breaks ends one request
        only."""
        try:
            self._take(replica, event)
        except Exception as error:  # noqa: BLE001 - the other requests of this worker go on
            key = getattr(event, "key", None)
            log_event("worker_event_broke", level="error", key=key, error=repr(error))
            job = None if key is None else self._jobs.get(key)
            if job is None:
                return
            replica.send(Cancel(job[0].request.key))
            self._queue.end(
                self._forget(job[0].request.key),
                RequestError(Code.ENGINE_FAILED, f"worker: {error!r}"),
            )
            self._dispatch()

    def _take(self, replica: Replica, event: Event) -> None:
        if isinstance(event, Tokens | Finished | Failed) and event.key not in self._jobs:
            return  # of a request that ended by what broke here
        if isinstance(event, Tokens):
            self._jobs[event.key][0].deliver(event.ids, event.log_probs, event.top)
        elif isinstance(event, Finished):
            self._queue.finish(self._forget(event.key), event.reason)
            self._dispatch()
        elif isinstance(event, Failed):
            self._queue.end(self._forget(event.key), event.error())
            self._dispatch()
        elif isinstance(event, KvUse):
            self._kv[replica] = event
        elif isinstance(event, Drafted):
            self._drafted[replica] = event
        elif isinstance(event, Lost):
            self._lose(replica, event.cause)

    def _forget(self, key: str) -> Job:
        with self._lock:
            job, replica = self._jobs.pop(key)
            replica.running -= 1
            return job

    def _lose(self, replica: Replica, cause: str) -> None:
        """End what ``replica`` ran."""
        if not self._closing:
            self._queue.lose(cause)
        with self._lock:
            keys = [key for key, (_, owner) in self._jobs.items() if owner is replica]
        for key in keys:
            job = self._forget(key)
            if self._closing:
                self._queue.finish(job, "cancelled")
            else:
                self._queue.end(
                    job, RequestError(Code.ENGINE_LOST, f"the engine was lost: {cause}")
                )


def _caches(root: Path | None, version: str, precision: str, plan: Plan) -> dict[str, str]:
    """Return the environment of the workers. All copies share a folder: their GPUs are of one
    kind."""
    if root is None:
        return {}
    folder = cache_folder(
        root,
        version=version,
        gpu=first_gpu_name(plan.gpu_sets[0]) or "unknown",
        precision=precision,
        tp=plan.args.get("tensor_parallel_size", 1),
        ep=plan.args.get("moe_expert_parallel_size") or 1,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeError(
            f"GEMMA4_CACHE_DIR={root}: cannot be written ({error.strerror}); mount a volume that "
            "this user may write, or unset it"
        ) from None
    return cache_environment(folder)


def _start(
    start: Start, gpu_sets: tuple[str | None, ...], env: dict[str, str]
) -> tuple[list[Replica], str]:
    """Start all workers, which load at once. Raises :class:`RuntimeError` when one does not."""
    replicas: list[Replica] = []
    try:
        replicas += [Replica(start, gpus=gpus, env=env) for gpus in gpu_sets]
        versions = [replica.wait_ready() for replica in replicas]
    except BaseException:
        for replica in replicas:
            replica.close()
        raise
    return replicas, versions[0]
