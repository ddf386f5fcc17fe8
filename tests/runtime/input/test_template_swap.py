"""Replacing an engine's chat template: checked, shown, undone, and never half done."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult
from gemma4_runtime.engine_folder import load_engine_folder
from gemma4_runtime.input import template_swap
from gemma4_runtime.input.template_check import TemplateError
from gemma4_runtime.input.template_swap import TemplateSwapError, replace_template, restore_template
from gemma4_runtime.manifest import CHAT_TEMPLATE, EngineFolderError, read_manifest

OTHER = "{{ bos_token }}{% for m in messages %}<|turn>{{ m.role }}\nNEW {{ m.content }}<turn|>\n{% endfor %}<|turn>model\n"
THIRD = OTHER.replace("NEW", "THIRD")


@pytest.fixture(scope="module")
def built(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap") / "engine"
    build(checkpoint, folder)
    return folder


def build(checkpoint: Path, folder: Path) -> BuildResult:
    request = BuildRequest(checkpoint=checkpoint, out=folder, runtime="synthetic")
    return build_engine(request, SilentReporter())


@pytest.fixture
def engine(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "engine")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.jinja"
    path.write_text(OTHER)
    return path


def text(engine: Path) -> str:
    """Of the template, in a folder that a start accepts."""
    folder = load_engine_folder(engine, verify_hashes=True)
    return (folder.path / CHAT_TEMPLATE).read_text()


def test_replace_and_restore(engine: Path, other: Path, checkpoint: Path) -> None:
    old = text(engine)
    done = replace_template(engine, other)
    assert done.changed and text(engine) == OTHER
    assert done.former.read_text() == old
    assert "+NEW What is the weather in Paris?" in done.differences
    assert "one question, former template" in done.differences
    again = replace_template(engine, other)
    assert not again.changed and again.former == done.former and again.differences == ""
    back = restore_template(engine)
    assert back.changed and text(engine) == old
    assert "-NEW What is the weather in Paris?" in back.differences
    assert restore_template(engine).changed and text(engine) == OTHER  # undone
    kept = sorted(path.name for path in engine.iterdir() if path.name.startswith("chat_template"))
    assert len(kept) == 2
    assert not [path for path in engine.iterdir() if path.name.startswith(".")]


def test_only_the_last_one_is_kept(engine: Path, other: Path) -> None:
    replace_template(engine, other)
    other.write_text(THIRD)
    replace_template(engine, other)
    restore_template(engine)
    assert text(engine) == OTHER
    assert len(list(engine.glob("chat_template.*.jinja"))) == 1


def test_what_a_build_refuses(engine: Path, tmp_path: Path) -> None:
    old, manifest = text(engine), (engine / "engine.json").read_bytes()
    for bad, says in (
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ raise_exception('no') }}", "no"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        (b"\xff\xfe", "cannot be read"),
        (" " * (5 << 20), "4 MiB"),
    ):
        path = tmp_path / "bad.jinja"
        path.write_bytes(bad if isinstance(bad, bytes) else bad.encode())
        with pytest.raises((TemplateError, TemplateSwapError), match=says) as caught:
            replace_template(engine, path)
        assert str(path) in str(caught.value)
        assert text(engine) == old
        assert (engine / "engine.json").read_bytes() == manifest
        assert not [entry for entry in engine.iterdir() if entry.name.startswith(".")]


def test_paths_that_are_nothing(engine: Path, other: Path, tmp_path: Path) -> None:
    for template in (tmp_path / "none.jinja", tmp_path):
        with pytest.raises(TemplateSwapError, match="cannot be read"):
            replace_template(engine, template)
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(EngineFolderError):
            replace_template(folder, other)
    with pytest.raises(TemplateSwapError, match="never replaced"):
        restore_template(engine)


def test_a_template_edited_in_place_is_adopted_by_its_name_only(engine: Path, other: Path) -> None:
    path = engine / "chat_template.jinja"
    path.write_text(THIRD)
    with pytest.raises(EngineFolderError, match=f"gemma4 template {engine} {path}"):
        text(engine)
    with pytest.raises(TemplateSwapError, match=f"gemma4 template {engine} {path}"):
        replace_template(engine, other)
    assert path.read_text() == THIRD
    assert replace_template(engine, path).changed
    assert text(engine) == THIRD


def test_a_former_template_that_was_damaged(engine: Path, other: Path) -> None:
    done = replace_template(engine, other)
    done.former.write_text("x")
    with pytest.raises(TemplateSwapError, match="was changed"):
        restore_template(engine)
    assert text(engine) == OTHER


def test_two_at_once(engine: Path, other: Path) -> None:
    descriptor = os.open(engine, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(TemplateSwapError, match="another `gemma4 template`"):
        replace_template(engine, other)
    os.close(descriptor)
    replace_template(engine, other)


class Crash(BaseException):
    pass


@pytest.mark.parametrize("action", ["replace", "restore"])
def test_the_folder_is_whole_after_a_crash_at_any_step(
    built: Path, other: Path, tmp_path: Path, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call that changes the disk, and every one that makes it durable, is the last in turn."""
    monkeypatch.setattr(template_swap, "sample_renderings", lambda path, **_: {})
    steps = 0
    while True:
        engine = shutil.copytree(built, tmp_path / f"engine{steps}")
        old = text(engine)
        if action == "restore":
            replace_template(engine, other)
        before = text(engine)
        after = old if action == "restore" else OTHER
        left = [steps]

        def counted(real: Callable[..., Any], left: list[int] = left) -> Callable[..., Any]:
            def call(*args: int | Path | str, **options: Any) -> Any:
                if not left[0]:
                    raise Crash
                left[0] -= 1
                return real(*args, **options)

            return call

        with monkeypatch.context() as patch:
            for owner, name in (
                (os, "fsync"),
                (Path, "replace"),
                (Path, "unlink"),
                (Path, "chmod"),
                (Path, "open"),
            ):
                patch.setattr(owner, name, counted(getattr(owner, name)))
            try:
                if action == "replace":
                    replace_template(engine, other)
                else:
                    restore_template(engine)
                crashed = False
            except Crash:
                crashed = True
        assert text(engine) in (before, after)
        if not crashed:
            break
        # The same command goes on, and what it replaced can be brought back.
        if action == "replace":
            replace_template(engine, other)
        elif text(engine) != old:
            restore_template(engine)
        assert text(engine) == after
        steps += 1
    assert steps > 15


def test_a_build_again_keeps_it(engine: Path, other: Path, checkpoint: Path) -> None:
    replace_template(engine, other)
    assert build(checkpoint, engine).status == "up_to_date"
    assert text(engine) == OTHER
    request = BuildRequest(checkpoint=checkpoint, out=engine, runtime="synthetic", slots=9)
    assert build_engine(request, SilentReporter()).status == "updated"
    assert text(engine) == OTHER and read_manifest(engine).limits.slots == 9
    restore_template(engine)


def command(*args: Path | str) -> subprocess.CompletedProcess[str]:
    gemma4 = [sys.executable, "-m", "gemma4_cli", "template", *map(str, args)]
    return subprocess.run(gemma4, capture_output=True, text=True, check=False)


def test_the_command(engine: Path, other: Path) -> None:
    done = command(engine, other)
    assert done.returncode == 0
    assert "+NEW What is the weather in Paris?" in done.stdout
    assert "until they start again" in done.stdout
    assert command(engine, other).stdout == f"{engine}: has this chat template already\n"
    assert command(engine, "--restore").returncode == 0
    assert text(engine) != OTHER
    other.write_text("{% for %}")
    bad = command(engine, other)
    assert bad.returncode == 1 and "TemplateSyntaxError" in bad.stderr
    assert command(engine).returncode == 2
    assert command(engine, other, "--restore").returncode == 2
