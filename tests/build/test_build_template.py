"""A checkpoint whose chat template does not end is refused by a build of any runtime."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
from gemma4_build import pipeline
from gemma4_build.errors import TokenizerError
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.input.template_check import CPU_S, check_template

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("runtime", "precision", "cpu_s"),
    [("synthetic", "int8", 1), ("llama_cpp", "f32", CPU_S), ("tensorrt_llm", "fp8", 1)],
)
def test_a_template_that_loops_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
    precision: str,
    cpu_s: int,
) -> None:
    """One of them by the limit that builds have, the others by a smaller one."""
    if cpu_s != CPU_S:
        monkeypatch.setattr(pipeline, "check_template", partial(check_template, cpu_s=cpu_s))
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "chat_template.jinja").write_text(LOOP)
    request = BuildRequest(
        checkpoint=tmp_path / "checkpoint",
        out=tmp_path / "engine",
        runtime=runtime,
        precision=precision,
    )
    with pytest.raises(TokenizerError, match=rf"chat_template.jinja: .* took more than {cpu_s} s"):
        build_engine(request, SilentReporter())
    assert not (tmp_path / "engine").exists()
