"""Whether this process's parent still lives, and an end by Linux for a process that cannot look.

A thread of Python sees that the parent is gone and ends the process in good order. But Triton 2.51
lets a model's process wait in shared memory while it has Python's global lock. When all processes
of a server are killed in that moment but this one, no thread of Python runs here ever again, and
nobody else is left who could end it. So Linux has to, without a line of Python:

1. At the end of the parent Linux sends :data:`SIGNAL` (prctl(2), PR_SET_PDEATHSIG).
2. Its handler is the C library's ``alarm`` itself. A handler's argument is the number of its
   signal, so the process has as many seconds left as the signal's number.
3. Nobody handles SIGALRM, which then ends the process, whatever its threads wait for.

"The parent" is the *thread* that started us: Linux sends the signal also when only that thread
ends, and then counts another thread of the process as the parent. So the signal cannot kill at
once: a thread of Python that sees that the process still lives turns the alarm off.

Other ways are worse. A timer that a thread winds up again and again (``setitimer``,
``faulthandler``) also ends a healthy server that was stopped for a while: a frozen container, a
debugger. A process that watches costs memory, and is killed with the others. SIGKILL from Linux, by
prctl or by a pipe that only the parent holds, leaves no time to remove shared memory, and by prctl
ends a healthy process with its parent's thread. Here nothing happens, and no clock runs, while the
parent lives.

Not ended is a process that is itself stopped (SIGSTOP) while all others are killed: it ends
:data:`LEFT_S` seconds after it goes on.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from threading import Event, Thread
from time import sleep

__all__ = ["LEFT_S", "SIGNAL", "Parent", "end_with_parent"]

SIGNAL = signal.SIGRTMIN
"""The first signal that Linux leaves to programs: 34 with glibc."""
LEFT_S = int(SIGNAL)
"""Seconds that a process has left after its parent. Longer than the 20 s that ``gemma4 serve``
grants a process which is too busy for a sign of life: after the end of a mere thread of the parent
it may be just as busy."""
_PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that this process gets when its parent ends."""
_LOOK_S = 1.0
"""Seconds between two looks of :func:`end_with_parent`; small against :data:`LEFT_S`."""


class Parent:
    """The parent of this process. Make it in a thread that does not end before the process does:
    Linux forgets the wish with the thread. Raises :class:`OSError` if Linux refuses."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._end = _end_of(self._pid)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        libc.signal(signal.SIGALRM, None)  # SIG_DFL: a parent that ignores it hands that down
        libc.signal(SIGNAL, ctypes.cast(libc.alarm, ctypes.c_void_p))
        if libc.prctl(_PR_SET_PDEATHSIG, int(SIGNAL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")

    def wait(self, seconds: float) -> bool:
        """Wait until the parent ends, at most ``seconds``; that long in any case where Linux cannot
        tell, such as in a container that forbids ``pidfd_open``. Return whether to look at once if
        it is :meth:`gone`."""
        if self._end is None:
            sleep(seconds)
            return True
        ended = bool(self._end.poll(seconds * 1000))
        if ended and os.getppid() == self._pid:
            sleep(seconds)  # so that nothing spins, should Linux say the one before the other
        return ended

    def gone(self) -> bool:
        """Return whether the parent has ended; then this process has :data:`LEFT_S` seconds. Call
        it every few seconds at least, always in one thread."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (SIGNAL, signal.SIGALRM))
        if os.getppid() == self._pid and any(signal.getitimer(signal.ITIMER_REAL)):
            signal.alarm(0)  # a thread of it has ended
        if os.getppid() == self._pid:
            return False
        signal.alarm(LEFT_S)  # also where it ended between the lines above
        return True


def _end_of(pid: int) -> select.poll | None:
    """Return what can be polled for the end of process ``pid``."""
    end = select.poll()
    try:
        end.register(os.pidfd_open(pid), select.POLLIN)
    except OSError:
        return None
    return end


def end_with_parent() -> None:
    """End this process :data:`LEFT_S` seconds after its parent, if it has not ended by then. Call
    it in the main thread."""
    Thread(target=_look, args=(Parent(),), name="parent", daemon=True).start()


def _look(parent: Parent) -> None:
    while not parent.gone():
        sleep(_LOOK_S)
    Event().wait()  # a signal needs a thread that does not block it
