"""Text is not taken for a number that int() then refuses.

``"²".isdigit()`` holds and ``int("²")`` raises; ``int`` refuses 5,000 digits, and takes ``" +1_0 "``.
So digits that somebody else wrote are matched by a pattern with a bounded length."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("build", "clients", "cli", "load_tests", "model_repository", "runtime", "serve")
LOOSE = {"isdecimal", "isdigit", "isnumeric"}
KNOWN = {
    "build/gemma4_plan/memory_question.py": "isdecimal, and the length is bounded",
    "load_tests/gemma4_load/report/numbers.py": "names of our own figures, such as p99",
    "runtime/gemma4_runtime/guides/schema/ecma_regex.py": "no number is made of it",
    "runtime/gemma4_runtime/input/logit_bias.py": "ASCII, and the length is bounded",
    "runtime/gemma4_runtime/output/call_scalars.py": "an ASCII pattern has matched before",
    "runtime/gemma4_runtime/processes/limits.py": "no number is made of it; Linux wrote it",
    "runtime/gemma4_runtime/restarts.py": "ASCII, and our supervisor wrote it",
    "serve/gemma4_serve/run_folder.py": "our own folders, named by process ids",
}
"""Files that ask so, and why they may."""


def test_digits_are_matched_by_a_pattern() -> None:
    found = set()
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            if names & LOOSE:
                found.add(path.relative_to(ROOT).as_posix())
    assert found == KNOWN.keys()
