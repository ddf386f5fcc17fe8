"""Compile xllamacpp for this machine's processor, and install it only if it runs: ``make native``.

Its source is built with all instructions that the processor reports (ggml's default). What reports
them and what runs them are not always the same, in virtual machines above all. So the build is
tried in a process of its own, with the demo engine, before it replaces the wheel.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PACKAGE = "xllamacpp"
_CHECK_S = 300.0
"""Seconds that the check may take; the demo answers within one."""
_NEEDS = "it needs g++, cmake, cargo, git and the network"

_CHECK = """
import json, sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.verbosity = sys.argv[1], 512, 1
params.cpuparams.n_threads, params.n_parallel, params.api_keys = 1, 1, ["x"]
server = xllamacpp.Server(params)
def ask(**options):
    body = {"prompt": list(range(600, 640)), "max_tokens": 12, "temperature": 0.0, **options}
    answer = server.handle_completions(body)
    if "error" in answer:
        sys.exit("error: " + str(answer["error"].get("message")))
    return answer["choices"][0]["text"]
grammar = "%llguidance {}\\nstart: /(yes|no)/"
found = {"text": ask(), "guide": ask(grammar=grammar)}
found["instructions"] = xllamacpp.get_system_info()
print(json.dumps(found), flush=True)
import os
os._exit(0)
"""


class NotUsableError(Exception):
    """The build cannot be used; the text says why."""


def check(model: Path, site: Path | None) -> dict[str, str]:
    """Run ``model`` with the xllamacpp of the folder ``site`` (None: the installed one), in a
    process of its own. Raises :class:`NotUsableError`."""
    first = "" if site is None else f"import sys; sys.path.insert(0, {str(site)!r})\n"
    command = [sys.executable, "-c", first + _CHECK, str(model)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_CHECK_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotUsableError(f"it gave no answer within {_CHECK_S:.0f} s") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        why = " (an instruction that this processor does not run)" if name == "SIGILL" else ""
        raise NotUsableError(f"it was ended by {name}{why}")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        words = done.stderr.strip().splitlines() or ["no message"]
        raise NotUsableError(f"it failed: {words[-1]}")
    found: dict[str, str] = json.loads(lines[-1])
    if not found["guide"].strip().startswith(("yes", "no")):
        raise NotUsableError(
            f"it does not keep to a guide: {found['guide']!r}; build it with llguidance"
        )
    return found


def build(into: Path) -> Path:
    """Build the wheel of the installed version from its source. Raises :class:`NotUsableError`."""
    source = f"{PACKAGE}=={version(PACKAGE)}"
    command = [
        "wheel", "--no-deps", "--no-cache-dir", "--no-binary", PACKAGE, "--wheel-dir", str(into),
        source,
    ]  # fmt: skip
    if _pip(command):
        raise NotUsableError(f"{source} cannot be built (see above; {_NEEDS})")
    return next(into.glob("*.whl"))


def _pip(words: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """Build, check, install. Exit status: 0 installed, 1 not, and the wheel is as it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--engine", type=Path, required=True, help="engine folder to try it with")
    parser.add_argument("--wheel", type=Path, help="try this one instead of building")
    options = parser.parse_args()
    model = options.engine / "model.gguf"
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = options.wheel or build(Path(folder))
            site = Path(folder) / "site"
            if _pip(["install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]):
                raise NotUsableError(f"{wheel} cannot be installed (see above)")
            found, before = check(model, site), check(model, None)
            if _pip(["install", "--quiet", "--force-reinstall", "--no-deps", str(wheel)]):
                raise NotUsableError(
                    f"{wheel} cannot be installed (see above); run make native-undo"
                )
    except NotUsableError as error:
        print(f"The native build is not used: {error}. The wheel stays as it is.", file=sys.stderr)
        return 1
    same = "the same answer" if found["text"] == before["text"] else "another answer (rounding)"
    print(f"Installed: {found['instructions']}\n{same} as the wheel; make native-undo goes back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
