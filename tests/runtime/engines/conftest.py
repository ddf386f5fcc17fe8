"""Shared by the tests of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def encode(checkpoint: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return lambda text: (
        tokenizer.encode(
            f"<bos><|turn>user\n{text}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
        ).ids
    )
