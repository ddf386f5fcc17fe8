"""Watch for a client that leaves while a call waits for its answer."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.server.streams.checks import CHECK_S

__all__ = ["ClientWatch"]


class ClientWatch:
    """While its block runs, ask ``is_gone`` every ``interval`` seconds in a thread; call
    ``on_gone`` once when it says so. ``is_gone`` is not called after the block has ended."""

    def __init__(
        self,
        is_gone: Callable[[], bool],
        on_gone: Callable[[], object],
        *,
        interval: float = CHECK_S,
    ) -> None:
        self._is_gone = is_gone
        self._on_gone = on_gone
        self._interval = interval
        self._over = Event()
        self._thread = Thread(target=self._run, name="client-watch", daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            try:
                if self._is_gone():
                    self._on_gone()
                    return
            except Exception as error:  # noqa: BLE001 - the call itself goes on, unwatched
                log_event("client_watch_broke", level="error", error=repr(error))
                return

    def __enter__(self) -> ClientWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
