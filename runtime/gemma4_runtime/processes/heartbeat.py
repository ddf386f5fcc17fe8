"""A sign of life of one process, in a small mapped file that ``gemma4 serve`` reads.

Triton says "ready" of a model whose process is stopped, and only notices when it goes on. So each
model process writes the time into a file of its own, from a thread of its own.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from gemma4_runtime.processes.parent import Parent
from gemma4_runtime.processes.triton_calls import waits_since

__all__ = ["BEATS_NAME", "BEAT_S", "SEEN", "Heartbeat", "read_signs"]

BEATS_NAME = "beats"
BEAT_S = 0.2
"""Seconds between two signs of life."""
_PARENT_BEATS = 5
"""Beats between two looks at the parent, where Linux does not tell of its end by itself."""
SEEN = ".orphan"
"""What the name of the file ends in when its process has seen that its parent is gone."""
_WORD = 8
"""Bytes of an integer of the file."""
_SIZE = 2 * _WORD
"""Bytes of the file: when the process gave its last sign of life, and since when it waits for
Triton (0: it does not), in nanoseconds of the monotonic clock."""


class Heartbeat:
    """Beats every :data:`BEAT_S` seconds until :meth:`close`. ``on_orphan`` is called once, in the
    thread, when the parent process has ended; the file is gone by then. Make it in the main thread:
    see :class:`~gemma4_runtime.processes.parent.Parent`."""

    def __init__(self, run_dir: Path, *, on_orphan: Callable[[], None]) -> None:
        folder = run_dir / BEATS_NAME
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / str(os.getpid())
        self._path.write_bytes(bytes(_SIZE))
        with self._path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._word = memoryview(self._map).cast("Q")
        self._on_orphan = on_orphan
        self._parent = Parent()
        self._stop = Event()
        self._beat()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and remove the file."""
        self._stop.set()
        self._thread.join()
        self._word.release()
        self._map.close()
        self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        self._word[1] = waits_since()
        self._word[0] = time.monotonic_ns()

    def _run(self) -> None:
        beats = 0
        while not self._stop.is_set():
            told = self._parent.wait(BEAT_S)
            self._beat()
            beats += 1
            if (told or beats % _PARENT_BEATS == 1) and self._parent.gone():
                with suppress(FileNotFoundError):
                    self._path = self._path.rename(self._path.with_suffix(SEEN))
                self._on_orphan()
                return


def read_signs(run_dir: Path, pid: int) -> tuple[float, float] | None:
    """Return when process ``pid`` gave its last sign of life, and since when it waits for Triton
    (0: it does not), both as :func:`time.monotonic` (the clock is the machine's); None for one that
    has none."""
    try:
        descriptor = os.open(f"{run_dir}/{BEATS_NAME}/{pid}", os.O_RDONLY)
    except OSError:
        return None
    try:  # by pathlib it takes four times as long, 50 times a second
        data = os.read(descriptor, _SIZE + 1)
    finally:
        os.close(descriptor)
    if len(data) != _SIZE:
        return None
    beat, since = (int.from_bytes(data[i : i + _WORD], "little") / 1e9 for i in (0, _WORD))
    return beat, since
