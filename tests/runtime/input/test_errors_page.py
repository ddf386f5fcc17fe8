"""docs/errors.md is made from the table; `UPDATE_DOCS=1 pytest` on this file writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.bad_inputs import BAD
from gemma4_testing.cases.prepared_requests import prepare

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
HEAD = """# Bad inputs

Made from the table that the tests send to the runtime and to a real server, with the demo engine's
limits. Every status is INVALID_ARGUMENT: nothing was generated, nothing else was disturbed.

| input | message |
|---|---|
"""


def test_the_page_is_up_to_date(checkpoint: Path) -> None:
    limits = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
    preparer = Preparer(checkpoint, limits=limits, capabilities=CAPABILITIES["llama_cpp"])
    lines = []
    for bad in BAD:
        with pytest.raises(RequestError) as caught:
            prepare(preparer, bad.inputs)
        message = caught.value.message.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {bad.name} | {message[:300].replace('<', '&lt;')} |")
    text = HEAD + "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text
