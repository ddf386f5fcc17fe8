"""What the programs that run containers share: checks that are counted, podman, HTTP. Standard
library only."""

from __future__ import annotations

import ssl
import subprocess
import urllib.error
import urllib.request

__all__ = ["Checks", "get", "podman"]


class Checks:
    """``passed`` and ``failed`` count them."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def __call__(self, what: str, right: bool, more: object = "") -> bool:
        self.passed, self.failed = self.passed + right, self.failed + (not right)
        print(f"{'ok    ' if right else 'FAILED'} {what}", flush=True)
        if not right and more:
            print(str(more)[-6000:], flush=True)
        return right


def podman(*command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run podman to its end. Never raises for its exit status."""
    return subprocess.run(
        ["podman", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def get(
    url: str, data: bytes | None = None, timeout: float = 60,
    context: ssl.SSLContext | None = None, **headers: str,
) -> tuple[int, str]:  # fmt: skip
    """Return status and body; 0 when nobody answers. ``context`` is for https."""
    try:
        request = urllib.request.Request(url, data, headers)
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
