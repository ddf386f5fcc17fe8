"""`gemma4 load` where its extra is not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["aiohttp", "jinja2", "prometheus_client", "uvloop"])
def test_a_missing_package_is_named(module: str) -> None:
    """As after `make serve`, which installs none of these."""
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['gemma4', 'load'];"
        "from gemma4_cli.main import app; app()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2, ran.stderr
    assert f"gemma4: {module}" in ran.stderr
    found = re.search(r"`(\S+) -m pip install -e '\.\[load\]'`", ran.stderr)
    assert found is not None and Path(found[1]).samefile(sys.executable)  # no other Python's pip
