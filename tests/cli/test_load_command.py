"""`gemma4 load` where its extra is not installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from gemma4_testing.fakes.ports import http, listener


@pytest.mark.parametrize("module", ["aiohttp", "jinja2", "prometheus_client", "uvloop"])
def test_a_missing_package_is_named(module: str) -> None:
    """As after `make serve`, which installs none of these."""
    code = (
        "import gemma4_runtime; print(gemma4_runtime.__file__);"
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['gemma4', 'load'];"
        "from gemma4_cli.main import app; app()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert ran.returncode == 2, ran.stderr
    assert f"gemma4: {module}" in ran.stderr
    # A copy would take the place of an editable install.
    option = "" if "site-packages" in ran.stdout else "-e "
    found = re.search(rf"`(\S+) -m pip install {option}'\.\[load\]'`", ran.stderr)
    assert found is not None and Path(found[1]).samefile(sys.executable)  # no other Python's pip


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("triton", "127.0.0.1:{}", "is Triton's HTTP port; use --url http://127.0.0.1:{}"),
        ("triton", "http://127.0.0.1:{}/v1", "HTTP port; use --url http://127.0.0.1:{}"),
        ("metrics", "127.0.0.1:{}", "has metrics, for Prometheus; give the gRPC port"),
        ("gateway", "127.0.0.1:{}", "is a gateway; use --url http://127.0.0.1:{}/v1"),
        ("gateway", "http://127.0.0.1:{}", "is a gateway; use --url http://127.0.0.1:{}/v1"),
    ],
)
def test_a_wrong_port_is_named(kind: str, given: str, told: str, tmp_path: Path) -> None:
    with listener(http(kind)) as port:
        command = ["load", "--url", given.format(port), "--out", str(tmp_path / "a")]
        ran = subprocess.run(
            [sys.executable, "-m", "gemma4_cli", *command],
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    assert (ran.returncode, told.format(port) in ran.stderr) == (1, True), ran.stderr
    assert "Traceback" not in ran.stderr
