"""A checkpoint whose chat template does not end is refused by a build of any runtime."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from gemma4_build.errors import TokenizerError
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("runtime", "precision"), [("synthetic", "int8"), ("llama_cpp", "f32"), ("tensorrt_llm", "fp8")]
)
def test_a_template_that_loops_is_refused(
    checkpoint: Path, tmp_path: Path, runtime: str, precision: str
) -> None:
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "chat_template.jinja").write_text(LOOP)
    request = BuildRequest(
        checkpoint=tmp_path / "checkpoint",
        out=tmp_path / "engine",
        runtime=runtime,
        precision=precision,
    )
    with pytest.raises(TokenizerError, match=r"chat_template.jinja: .* took more than 10 s"):
        build_engine(request, SilentReporter())
    assert not (tmp_path / "engine").exists()
