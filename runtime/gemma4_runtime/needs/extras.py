"""How an extra of this package is installed, for messages that say that something is missing."""

import os
import shlex
import sys
from pathlib import Path

from gemma4_runtime.needs.packages import NEWEST, OLDEST, suited

__all__ = ["install_extra", "wrong_python"]

CHECKOUT = Path(__file__).resolve().parents[3]
"""The project's folder, if this is not a copy of it in an environment."""
_SINCE_OLDEST = ("build", "quantize", "runtime")


def install_extra(extra: str, python: str = sys.executable) -> str:
    """Return the command that installs ``extra`` for ``python``, in backquotes, and where to run
    it. In a checkout it installs with ``-e``: a copy would take the place of the editable install
    that `make` has made, and then edits would have no effect."""
    editable = (CHECKOUT / "pyproject.toml").is_file()
    here = os.getcwd()  # noqa: PTH109 - pathlib's is no other
    shown = os.path.relpath(python, here) if python.startswith(here + os.sep) else python
    target = f".[{extra}]"
    where = " in the project's folder"
    if editable:
        where = "" if Path(here) == CHECKOUT else f" in {CHECKOUT}"
    option = "-e " if editable else ""
    return f"`{shlex.quote(shown)} -m pip install {option}{shlex.quote(target)}`{where}"


def wrong_python(extra: str, python: "tuple[int, int]" = sys.version_info[:2]) -> str:
    """Return why ``extra`` cannot be installed for a Python such as (3, 13), with the way out; ""
    when it can."""
    this, oldest, newest = ("{}.{}".format(*x) for x in (python, OLDEST, NEWEST))
    if extra == "serve" and not suited(python):
        return (
            f"this is Python {this}, the server runs on {oldest} and {newest}; `make serve` in the "
            "project's folder finds one of these, or says how to install it (docs/install.md); "
            "chat, gateway and load run on this one"
        )
    if extra in _SINCE_OLDEST and python < OLDEST:
        return f"this is Python {this}, `{extra}` needs {oldest} or newer (docs/install.md)"
    return ""
