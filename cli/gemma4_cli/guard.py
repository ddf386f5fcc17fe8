"""What every command does when the world around it fails: one line, the right code, no traceback.

Exit codes that no command chooses itself: 130 after Ctrl-C, 141 when the reader of a pipe has gone
(as in ``gemma4 load | head -1``), 1 when the operating system refuses something.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from gemma4_runtime.one_line import one_line

__all__ = ["BROKEN_PIPE", "INTERRUPTED", "guarded", "open_standard_streams"]

INTERRUPTED, BROKEN_PIPE = 130, 141

_WAYS_OUT = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EACCES: "let this user in there, or choose another place",
    errno.EPERM: "let this user in there, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EMFILE: "raise the limit of open files: ulimit -n, docker run --ulimit nofile=4096",
    errno.ENFILE: "this machine has no file handles left: end other programs",
    errno.ENOMEM: "free some memory, or raise its limit (ulimit -v)",
    errno.EAGAIN: "raise the limit of processes: ulimit -u, docker run --pids-limit",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "mend the symbolic links of that path",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_THREADS = "can't start new thread"


def guarded(command: Callable[[], object]) -> int:
    """Run ``command``, which ends by :class:`SystemExit` or returns; the exit code."""
    open_standard_streams()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
        code = 0
    except SystemExit as end:
        gone = isinstance(end.__context__, BrokenPipeError)
        code = BROKEN_PIPE if gone else _code(end)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        code = _say(_reason(error))
    except MemoryError:
        code = _say(f"no memory left; {_WAYS_OUT[errno.ENOMEM]}")
    except RuntimeError as error:
        if _THREADS not in str(error):
            raise
        code = _say(f"{error}; {_WAYS_OUT[errno.EAGAIN]}")
    try:
        code = _flushed(code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    _ignore_late_signals()
    return code


def _ignore_late_signals() -> None:
    """Ignore signals now that the exit code is known. Python takes its handlers away while it ends,
    0.1 s or more, and a signal in that time would replace the code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)


def open_standard_streams() -> None:
    """Put /dev/null in place of standard streams that the caller closed: the next file that is
    opened would get their number, and what is printed would land in it. Characters that the
    terminal's encoding lacks are printed as escapes."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _code(end: SystemExit) -> int:
    if isinstance(end.code, str):
        return _say(end.code)
    return end.code or 0


def _reason(error: OSError) -> str:
    text = str(error) if error.strerror is None else error.strerror
    place = "" if error.filename is None else f"{error.filename}: "
    if not place and error.errno in _FULL:  # Python does not say of which file
        place = "while writing the output: "
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    return f"{place}{text}" + (f"; {way_out}" if way_out else "")


def _say(message: str) -> int:
    with suppress(OSError, ValueError):
        print(f"gemma4: {one_line(message)}", file=sys.stderr, flush=True)
    return 1


def _flushed(code: int) -> int:
    """Write what is still buffered: Python would complain about a broken pipe at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _to_devnull(stream)
            code = BROKEN_PIPE if stream is sys.stdout else code
        except OSError as error:
            _to_devnull(stream)
            if stream is sys.stdout and code == 0:
                code = _say(f"standard output: {error.strerror}")
        except ValueError:  # closed by somebody
            pass
    return code


def _to_devnull(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
