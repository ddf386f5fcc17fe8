"""Run a GGUF file through llama.cpp greedily, in a process of its own.

A process of its own, since llama.cpp ends the whole process on some errors and writes to stderr.
``python -m gemma4_build.verify.engine_run JOB RESULT DONE`` reads and writes the open files with
these numbers. The result is a list, or ``{"error": "what went wrong"}``; DONE gets a byte for each
prompt that was answered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from gemma4_runtime.machine import compute_threads
from gemma4_runtime.manifest import LlamaCppOptions
from gemma4_runtime.needs import explain_import

from gemma4_build.errors import EngineRunError
from gemma4_build.progress import Reporter, SilentReporter

__all__ = ["Generated", "run_greedy"]

_LOOK_EVERY_S = 0.5
"""Seconds between two looks at how far the child is."""
_TELL_EVERY_S = 10.0
"""Seconds between two lines about it."""


@dataclass(frozen=True, slots=True)
class Generated:
    """``ids[i]`` was chosen at position i; ``top[i]`` are (id, log-probability) of the most
    probable tokens there, over the whole vocabulary, before sampling."""

    ids: tuple[int, ...]
    top: tuple[tuple[tuple[int, float], ...], ...]


def run_greedy(
    model: Path,
    prompts: Sequence[Sequence[int]],
    *,
    options: LlamaCppOptions,
    max_tokens: int,
    top_k: int,
    reporter: Reporter | None = None,
    title: str = "Verifying",
) -> list[Generated]:
    """Load ``model`` as the runtime will and generate up to ``max_tokens`` for each prompt;
    ``reporter`` is told now and then, under ``title``, how many have been answered.

    Raises :class:`EngineRunError` with the child's error, or its last words when it was killed.
    """
    job = {
        "model": str(model),
        "prompts": [list(prompt) for prompt in prompts],
        "options": options.model_dump(),
        "max_tokens": max_tokens,
        "top_k": top_k,
    }
    with (
        _memory("job") as job_file,
        _memory("result") as result,
        _memory("done") as done,
        _memory("log") as log,
    ):
        job_file.write(json.dumps(job).encode())
        job_file.seek(0)
        tell = _teller(reporter or SilentReporter(), title, len(prompts))
        status = _run((job_file, result, done), log, lambda: tell(os.fstat(done.fileno()).st_size))
        answer = json.loads(_all(result) or b"{}")
        if isinstance(answer, dict) or status != 0:
            lines = _all(log).decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "no message"
            told = answer if isinstance(answer, dict) else {}
            raise EngineRunError(
                f"llama.cpp could not run {model.name} (exit status {status}): "
                f"{told.get('error', last)}",
                advice=told.get("advice", ""),
            )
        return [
            Generated(tuple(g["ids"]), tuple(tuple((i, p) for i, p in top) for top in g["top"]))
            for g in answer
        ]


def _memory(name: str) -> FileIO:
    """Make a file in memory: nothing of it is left when the processes that have it end."""
    return FileIO(os.memfd_create(f"gemma4-{name}"), "r+")


def _all(file: FileIO) -> bytes:
    file.seek(0)
    return file.readall()


def _teller(reporter: Reporter, title: str, total: int) -> Callable[[int], None]:
    """Return what tells ``reporter`` how many prompts are done, every ten seconds, so
    that minutes are not silent."""
    begun = told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_EVERY_S:
            told = now
            reporter.say(f"{title}: {done} of {total} prompts answered after {now - begun:.0f} s")

    return tell


def _run(opened: Sequence[FileIO], log: FileIO, look: Callable[[], None]) -> int:
    """Run the child with the ``opened`` files and return its exit status; ``look`` is called
    meanwhile. The child ends when its standard input does, that is with us."""
    files = [file.fileno() for file in opened]
    with subprocess.Popen(
        [sys.executable, "-m", "gemma4_build.verify.engine_run", *map(str, files)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=files,
    ) as child:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(_LOOK_EVERY_S)
                look()
        finally:
            child.kill()


def _end_with_parent() -> None:
    # Not sys.stdin: a thread inside its lock makes the interpreter abort at exit.
    while os.read(0, 1):
        pass
    os._exit(1)


def _server(job: dict[str, Any]) -> Any:
    import xllamacpp

    options = LlamaCppOptions.model_validate(job["options"])
    longest = max(map(len, job["prompts"])) + job["max_tokens"] + 1
    params = xllamacpp.CommonParams()
    params.model.path = job["model"]
    params.n_ctx = longest + -longest % 256
    params.n_parallel = 1
    params.n_ubatch = options.micro_batch
    kv_type = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.kv_type.upper()}")
    params.cache_type_k = kv_type
    params.cache_type_v = kv_type
    state = "ENABLED" if options.flash_attention else "DISABLED"
    flash = xllamacpp.llama_flash_attn_type
    params.flash_attn_type = getattr(flash, f"LLAMA_FLASH_ATTN_TYPE_{state}")
    params.cpuparams.n_threads = compute_threads(Path(job["model"]).stat().st_size)
    params.warmup = False
    params.cache_ram_mib = params.n_ctx_checkpoints = 0  # no prompt is asked twice
    return xllamacpp.Server(params)


def _generate(server: Any, prompt: list[int], *, max_tokens: int, top_k: int) -> dict[str, Any]:
    answer = server.handle_completions(
        {
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": 0,
            "n_probs": top_k,
            "cache_prompt": False,
        }
    )
    if "error" in answer:
        raise RuntimeError(str(answer["error"].get("message")))
    content = answer["choices"][0]["logprobs"]["content"]
    if len(content) != answer["usage"]["completion_tokens"]:
        raise RuntimeError(
            f"{len(content)} ids came for {answer['usage']['completion_tokens']} generated tokens"
        )
    return {
        "ids": [entry["id"] for entry in content],
        "top": [[(t["id"], t["logprob"]) for t in entry["top_logprobs"]] for entry in content],
    }


def _main(job_file: int, result_file: int, done_file: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with FileIO(job_file) as file:
        job = json.loads(file.readall())
    with FileIO(result_file, "w") as result:
        try:
            server = _server(job)
            results = []
            for prompt in job["prompts"]:
                results.append(
                    _generate(server, prompt, max_tokens=job["max_tokens"], top_k=job["top_k"])
                )
                os.write(done_file, b".")
        except Exception as error:
            missing = explain_import(error) if isinstance(error, ImportError) else None
            words, _, advice = (missing or "").partition("\n")
            told = {
                "error": words or traceback.format_exception_only(error)[-1].strip(),
                "advice": advice,
            }
            result.write(json.dumps(told).encode())
            raise
        result.write(json.dumps(results).encode())


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
