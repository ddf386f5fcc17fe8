"""What the benches start: real servers, as the end-to-end tests do, and engines of a known pace."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.command import GEMMA4, Command  # noqa: E402 - importable by the line above
from e2e.gateway.running import MODEL, RunningGateway  # noqa: E402 - importable by the line above
from e2e.processes import lasting  # noqa: E402 - importable by the line above
from e2e.served import Served  # noqa: E402 - importable by the line above
from e2e.synthetic import UNPACED, synthetic_engine  # noqa: E402 - importable by the line above

__all__ = [
    "GEMMA4", "MODEL", "ROOT", "UNPACED", "Command", "RunningGateway", "Served", "lasting",
    "synthetic_engine",
]  # fmt: skip
