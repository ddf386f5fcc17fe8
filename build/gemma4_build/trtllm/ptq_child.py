"""Quantize with ModelOpt, in a process of its own: the only place where torch is imported.

``python -m gemma4_build.trtllm.ptq_child JOB.json`` reads the job, writes an exported checkpoint to
its ``export`` and one JSON object a line to standard output: ``{"layer", "layers"}`` when it begins
a layer (counted from 0), the same with ``{"sample", "samples"}`` while it calibrates, and
``{"result": {...}}`` or ``{"error": "what went wrong"}`` at the end. Everything else goes to
standard error, in no dependable order: libraries print from buffers and at exit. It ends when its
standard input does, that is with its parent.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from gemma4_build.trtllm.layerwise.job import Job


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


def main(job_file: Path) -> None:
    """Do the job; the traceback of an error goes to standard error, its last line to the parent."""
    channel = _Channel()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    started = time.monotonic()
    status = 0
    try:
        from gemma4_build.trtllm.layerwise.run import run

        result = run(Job.read(job_file), channel.send)
        channel.send(result={**result, "seconds": time.monotonic() - started})
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent has to hear of it)
        traceback.print_exc()
        channel.send(error=traceback.format_exception_only(error)[-1].strip())
        status = 1
    # ModelOpt and torch leave threads behind; everything is written.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
