"""A native build of llama.cpp is used only if a process of its own runs with it."""

from __future__ import annotations

from pathlib import Path

import native
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.random_checkpoint import PRESETS, write_checkpoint
from gemma4_build.request import BuildRequest

DEMO = Path("demo/checkpoint").resolve()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    write_checkpoint(folder / "c", PRESETS["tiny"], tokenizer=DEMO, vision=False)
    request = BuildRequest(checkpoint=folder / "c", out=folder / "e", skip_verify=True)
    build_engine(request, SilentReporter())
    return folder / "e" / "model.gguf"


def package(folder: Path, code: str) -> Path:
    """A folder with an ``xllamacpp`` that does ``code`` when it is imported."""
    (folder / "xllamacpp").mkdir(parents=True)
    (folder / "xllamacpp" / "__init__.py").write_text(code)
    return folder


def test_the_installed_wheel_passes(model: Path) -> None:
    found = native.check(model, None)
    assert found["text"] and "=" in found["instructions"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "SIGILL .*does not run"),
        ("import os\nos.abort()", "ended by SIGABRT"),
        ("raise ImportError('undefined symbol')", "it failed: .*undefined symbol"),
        ("import os\nos._exit(0)", "it failed: no message"),
    ],
)
def test_what_does_not_run_is_not_used(code: str, says: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(native.NotUsableError, match=says):
        native.check(model, package(tmp_path / "site", code))


def test_a_build_without_guides_is_not_used(model: Path, tmp_path: Path) -> None:
    code = """
class Server:
    def __init__(self, params): pass
    def handle_completions(self, body):
        return {"choices": [{"text": "maybe"}]}
class _Any:
    def __getattr__(self, name):
        value = _Any()
        object.__setattr__(self, name, value)
        return value
CommonParams = _Any
def get_system_info(): return "AVX = 1"
"""
    with pytest.raises(native.NotUsableError, match=r"guide.*llguidance"):
        native.check(model, package(tmp_path / "site", code))


def test_a_model_that_hangs_is_not_waited_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_CHECK_S", 1.0)
    with pytest.raises(native.NotUsableError, match="within 1 s"):
        native.check(model, package(tmp_path / "site", "import time\ntime.sleep(60)"))
