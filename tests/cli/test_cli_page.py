"""docs/reference/cli.md is made from the command line by typer; `UPDATE_DOCS=1 pytest` on this file
writes it anew."""

from __future__ import annotations

import html
import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
TITLE = "The gemma4 command"


def page() -> str:
    """Return the page as typer writes it, with plain quotation marks instead of entities."""
    command = [sys.executable, "-m", "typer", "gemma4_cli.main", "utils", "docs"]
    ran = subprocess.run(
        [*command, "--name", "gemma4", "--title", TITLE], capture_output=True, text=True, check=True
    )
    return html.unescape(ran.stdout).strip() + "\n"


def test_the_page_is_up_to_date() -> None:
    text = page()
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert "## `gemma4 serve`" in text
    assert PAGE.read_text(encoding="utf-8") == text
