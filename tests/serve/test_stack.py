"""The stack of Triton's threads: enough for JSON that is nested deeply."""

from __future__ import annotations

import os
import subprocess
import sys
from shlex import quote

import pytest
from gemma4_serve import tied


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ulimit -S -s 8192", "262144"),
        ("ulimit -s 8192", "8192"),
        ("ulimit -S -s 524288", "524288"),
    ],
)
def test_it_is_raised_as_far_as_the_user_may(before: str, after: str) -> None:
    tie = f"exec {quote(sys.executable)} -ISE {quote(tied.__file__)} {os.getpid()} /bin/sh -c 'ulimit -s'"
    ran = subprocess.run(
        ["/bin/bash", "-c", f"{before}; {tie}"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == after
