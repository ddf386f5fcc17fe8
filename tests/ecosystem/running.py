"""Runs one client's script and reads which of its checks passed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from families import Family
from gemma4_testing.servers.running_gateway import MODEL
from installing import program
from places import SCRIPTS, clean_environment, folder_of

__all__ = ["Result", "run"]


@dataclass
class Result:
    """``failed`` has a reason for each check that did not pass, by its name. ``more`` is what the
    script printed."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    more: str = ""


def run(family: Family, gateway: str, patience: float = 1.0) -> Result:
    """Run the script against the gateway with this URL, at most for ``patience`` times the family's
    limit. A check that was not reported has failed, and so has one that nobody expects."""
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix=f"gemma4-{family.name}-"))
    env = clean_environment(
        home, GATEWAY_URL=gateway, MODEL=MODEL, PACKAGES=str(folder_of(family.name)),
        PATIENCE=str(patience),
    )  # fmt: skip
    try:
        status, text = _bounded(
            program(family, SCRIPTS / family.script), env, family.limit_s * patience
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    result = Result(seconds=time.monotonic() - began, more=text)
    for word, name, why in re.findall(r"^(ok|FAILED) ([^:\n]+)(?:: (.*))?$", text, re.M):
        if word == "ok" and name in family.checks:
            result.passed.append(name)
        else:
            result.failed[name] = why or "not among the checks of families.py"
    for name in family.checks:
        if name not in result.passed and name not in result.failed:
            result.failed[name] = f"not reported; exit status {status}"
    if status and not result.failed:
        result.failed["exit"] = f"status {status}"
    return result


def _bounded(command: list[str], env: dict[str, str], limit_s: float) -> tuple[int, str]:
    """Exit status (-1 for one that took too long) and output. Its processes end with it."""
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(
                command, env=env, cwd=env["HOME"], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            return 127, f"{error.filename}: not found; install it"
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = -1
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return status, output.read()
