"""How our log writer and the standard ones behave when nobody takes their lines.

    python bench/log_writers.py

Every case runs in a process of its own, which writes lines of 300 bytes to its stderr and then ends.
"worst" is the longest that one call held up its caller. "ends" is what the process needed to end
after its last line. A process that does not end within 20 s is killed.
"""

from __future__ import annotations

import atexit
import json
import logging
import logging.handlers
import os
import queue
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

LINES = 50_000
LINE = json.dumps({"event": "request", "text": "x" * 268})
LIMIT_S = 20.0
READERS = ("file", "frozen", "gone", "full")
Write = Callable[[str], object]


def ours() -> Write:
    from gemma4_runtime.logs.writer import writer_of

    return writer_of(2).write


def stream_handler() -> Write:
    log = logging.getLogger("bench")
    log.addHandler(_plain(logging.StreamHandler()))
    return log.warning


def queue_handler() -> Write:
    """As many lines as fit into the 4 MiB of ours; logging has no bound in bytes."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(4 * 2**20 // len(LINE))
    listener = logging.handlers.QueueListener(lines, _plain(logging.StreamHandler()))
    listener.start()
    atexit.register(listener.stop)
    log = logging.getLogger("bench")
    log.addHandler(logging.handlers.QueueHandler(lines))
    return log.warning


def queue_handler_muted() -> Write:
    """With ``logging.raiseExceptions`` off: what is dropped is not counted, nor ever told."""
    logging.raiseExceptions = False
    return queue_handler()


def structlog() -> Write:
    import structlog as library  # type: ignore[import-not-found]

    library.configure(
        processors=[library.processors.JSONRenderer()],
        logger_factory=library.WriteLoggerFactory(sys.stderr),
    )
    write: Write = library.get_logger().warning
    return write


def _plain(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


WRITERS = {
    f.__name__: f for f in (ours, stream_handler, queue_handler, queue_handler_muted, structlog)
}


def child(name: str) -> None:
    """Write; say on stdout how it went."""
    write = WRITERS[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worst, refused, started = 0.0, 0, time.perf_counter()
    for _ in range(LINES):
        began = time.perf_counter()
        try:
            write(LINE)
        except OSError:
            refused += 1
        worst = max(worst, time.perf_counter() - began)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({
        "us": seconds / LINES * 1e6, "worst_ms": worst * 1e3, "raised": refused,
        "memory_mib": memory / 1024, "at": time.monotonic(),
    }), flush=True)  # fmt: skip


def run(name: str, reader: str) -> str:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as file:
        read, write = os.pipe()
        stderr = {"file": file.fileno(), "full": os.open("/dev/full", os.O_WRONLY)}.get(
            reader, write
        )
        if reader == "gone":
            os.close(read)
        process = subprocess.Popen([sys.executable, __file__, name], stdout=out, stderr=stderr)
        try:
            process.wait(LIMIT_S)
            ended = time.monotonic()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            ended = None
        out.seek(0)
        text = out.read().decode()
        written = os.fstat(file.fileno()).st_size // (len(LINE) + 1)
        if not text:
            return "the caller stood still" if ended is None else f"ended with {process.returncode}"
        told = json.loads(text)
        ends = "never" if ended is None else f"{ended - told['at']:.2f} s"
        whole = f", {written} lines written" if reader == "file" else ""
        return (
            f"{told['us']:6.1f} us a line, worst {told['worst_ms']:7.1f} ms, raised {told['raised']}, "
            f"+{told['memory_mib']:.0f} MiB, ends {ends}{whole}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
        sys.exit()
    for writer in WRITERS:
        for kind in READERS:
            print(f"{writer:20} {kind:7} {run(writer, kind)}", flush=True)
