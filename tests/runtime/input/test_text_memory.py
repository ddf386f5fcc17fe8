"""What a tokenizer keeps of the texts that it has seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKPOINT = Path(__file__).parents[3] / "demo" / "checkpoint"
SCRIPT = """
import random, sys
from pathlib import Path

import psutil
from gemma4_runtime.input.text import PromptTokenizer

tokenizer = PromptTokenizer(Path(sys.argv[1]))
letters = random.Random(1)

def read(texts):
    for _ in range(texts):
        tokenizer.encode_plain("".join(letters.choices("abcdefgh ", k=200)))
    return psutil.Process().memory_info().rss

first = read(1_500)
print(read(9_000) - first)
"""


def test_new_texts_do_not_fill_the_memory() -> None:
    """The library's own bound is 10,000 texts: 45 MB for these."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, CHECKPOINT / "tokenizer.json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(ran.stdout) < 5e6
