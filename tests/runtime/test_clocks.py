"""Durations and deadlines are measured with a clock that nobody can step."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "runtime",
    "model_repository",
    "nvidia_repository",
    "serve",
    "clients",
    "load_tests",
    "cli",
    "build",
    "bench",
)
STAMPS = {
    "runtime/gemma4_runtime/logs/lines.py": "when a line was written",
    "serve/gemma4_serve/run_folder.py": "compared with a file's time, which has this clock",
    "clients/gemma4_gateway/answers/work.py": "`created` of OpenAI's answers",
    "clients/gemma4_gateway/answers/response_events.py": "`completed_at` of OpenAI's responses",
    "clients/gemma4_dynamo/text_request.py": "`created` of OpenAI's answers",
    "clients/gemma4_gateway/store/responses.py": "ages of what outlives the process and the machine",
    "runtime/gemma4_runtime/server/engine_metrics.py": "when the metrics were last updated",
    "runtime/gemma4_runtime/server/engine_spans.py": "when a span began, for a collector",
    "runtime/gemma4_runtime/server/gate/gate.py": "when the quality gate last ran",
    "load_tests/gemma4_load/session.py": "when a level began, for the report",
}
"""Where the time of day is wanted, and nothing is subtracted from it or compared with it."""

WALL = {"time", "time_ns"}


def wall_clock_uses(source: str) -> list[int]:
    """Lines that read the time of day from the module time."""
    tree = ast.parse(source)
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
        and node.attr in WALL
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            lines += [node.lineno for alias in node.names if alias.name in WALL]
    return lines


def test_the_search_finds_them() -> None:
    assert wall_clock_uses("import time\nx = time.time()\n") == [2]
    assert wall_clock_uses("from time import time_ns\n") == [1]
    assert wall_clock_uses("import time\ntime.monotonic()\n") == []


def test_only_stamps_read_the_time_of_day() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if wall_clock_uses(path.read_text(encoding="utf-8"))
    }
    assert found == set(STAMPS)
