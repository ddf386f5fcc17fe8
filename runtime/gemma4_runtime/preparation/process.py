"""The preparation process: ``python -m gemma4_runtime.preparation.process FD``.

FD is a connected Unix socket to the process that started us; its end means that the parent is gone,
and so do we. The engine folder and the run folder come from the environment; the run folder has the
chat template that the server started with.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from pathlib import Path

from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.input.template_check import TemplateError, check_template
from gemma4_runtime.manifest import CHAT_TEMPLATE, EngineFolderError, read_manifest
from gemma4_runtime.preparation.lanes import Lane
from gemma4_runtime.preparation.preparer import preparer_of
from gemma4_runtime.preparation.service import Service
from gemma4_runtime.preparation.wire import SOCKET_NAME, Reply, Started, StartFailed, frame
from gemma4_runtime.preparation.worker import Worker
from gemma4_runtime.settings import Settings, load_settings

__all__ = ["main"]

_PROBES = (64, 32, 16, 8, 4, 2)
_PROBE_S = 0.004
"""What rendering a chat may take without a child process."""


def main(descriptor: int) -> int:
    """Serve until the parent ends; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole terminal
    os.set_inheritable(descriptor, False)
    parent = socket.socket(fileno=descriptor)
    settings = load_settings()
    try:
        preparer = _load(settings)
        listener = _listen(settings.run_dir / SOCKET_NAME)
    except (EngineFolderError, TemplateError, OSError, ValueError, KeyError) as error:
        return _failed(parent, f"{type(error).__name__}: {error}")
    service = Service(
        Worker(preparer),
        listener,
        parent,
        most_messages=_most_messages(preparer),
        places=_places(len(os.sched_getaffinity(0))),
    )
    gc.collect()
    gc.freeze()  # so that a collection does not copy pages that children share
    parent.sendall(frame(Started()))
    service.run()
    return 0


def _load(settings: Settings) -> Preparer:
    template = settings.run_dir / CHAT_TEMPLATE
    check_template(template, named=settings.engine_dir / CHAT_TEMPLATE)
    manifest = read_manifest(settings.engine_dir)
    return preparer_of(settings.engine_dir, manifest, template=template)


def _failed(parent: socket.socket, cause: str) -> int:
    reply: Reply = StartFailed(cause)
    parent.sendall(frame(reply))
    return 1


def _listen(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    return listener


def _most_messages(preparer: Preparer) -> int:
    """Return how many messages the template renders in :data:`_PROBE_S`: a published template of
    Gemma 4 looks at all messages for each of them."""
    for count in _PROBES:
        chat = [{"role": ("user", "assistant")[i % 2], "content": "a"} for i in range(count)]
        chat.append({"role": "user", "content": "a"})
        began = time.thread_time()
        try:
            preparer.render(chat)
        except RequestError:
            continue  # a template with rules of its own; rendered in children
        if time.thread_time() - began <= _PROBE_S:
            return count
    return 0


def _places(cores: int) -> dict[Lane, int]:
    """Return the children that run at the same time, of each lane."""
    each = max(1, cores // 4)
    return {Lane.SHORT: each, Lane.LONG: each}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
