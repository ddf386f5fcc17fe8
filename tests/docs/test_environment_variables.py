"""Every variable of the environment that a person may set is on a page."""

from __future__ import annotations

import re

from gemma4_testing.repository import ROOT

SOURCES = ("runtime", "build", "serve", "cli", "clients", "load_tests")
OWN = {
    "GEMMA4_ENGINE_DIR", "GEMMA4_RUN_DIR", "GEMMA4_THREADS", "GEMMA4_SLOTS", "GEMMA4_MAX_QUEUED",
    "GEMMA4_FAULTS", "GEMMA4_GPU_DEVICE_IDS", "GEMMA4_SHM_PREFIX", "GEMMA4_RESTARTS",
}  # fmt: skip
"""What `gemma4 serve` sets for its models by its options, and faults for tests."""


def test_every_variable_is_documented() -> None:
    found = {
        name
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r'= "(GEMMA4_[A-Z0-9_]+)"', path.read_text(encoding="utf-8"))
    }
    assert found >= OWN and "GEMMA4_QUANTIZE_PYTHON" in found
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert not {name for name in found - OWN if f"`{name}`" not in pages and f"${name}" not in pages
                and f"{name}=" not in pages}  # fmt: skip
