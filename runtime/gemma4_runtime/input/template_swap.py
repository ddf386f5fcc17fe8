"""Replace the chat template of an engine folder, or bring the former one back.

At every moment, a loss of power included, the folder is one that a start accepts, with the old
template or the new one: the manifest first names both, as current and former, and then the file is
renamed into its place. The former one is kept beside it under a name with its hash.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.input.template_check import MAX_TEMPLATE, TemplateError, sample_renderings
from gemma4_runtime.manifest import (
    CHAT_TEMPLATE,
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    read_manifest,
)
from gemma4_runtime.strict_json import read_file

__all__ = ["Swap", "TemplateSwapError", "replace_template", "restore_template"]

_NEW_TEMPLATE = f".{CHAT_TEMPLATE}.new"


class TemplateSwapError(Exception):
    """Nothing was changed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Swap:
    """What was done. ``changed`` false: the folder had this template already. ``former`` is the
    file that keeps the other one, None if there is none. ``differences`` is a unified diff of
    rendered samples, "" where all are equal."""

    changed: bool
    former: Path | None
    differences: str


def replace_template(engine: Path, template: Path) -> Swap:
    """Make ``template`` the chat template of the folder ``engine``.

    Raises :class:`TemplateSwapError`, :class:`~gemma4_runtime.manifest.EngineFolderError` and
    :class:`~gemma4_runtime.input.template_check.TemplateError`, which a build and a start raise
    for the same template, and :class:`OSError`.
    """
    with _locked(engine):
        manifest = read_manifest(engine)
        current = engine / CHAT_TEMPLATE
        own = template.exists() and template.samefile(current)
        if not own:
            _require_known(engine, manifest)
        try:
            data = read_file(template, most=MAX_TEMPLATE)
        except OSError as error:
            raise TemplateSwapError(
                f"{template}: cannot be read ({error.strerror}); give a file of at most "
                f"{MAX_TEMPLATE >> 20} MiB"
            ) from None
        return _swap(engine, manifest, data, named=template)


def restore_template(engine: Path) -> Swap:
    """Bring back the template that the last :func:`replace_template` replaced, which is then the
    former one. Raises as that does."""
    with _locked(engine):
        manifest = read_manifest(engine)
        _require_known(engine, manifest)
        if manifest.former_template is None:
            raise TemplateSwapError(
                f"{engine}: its template was never replaced; there is none to bring back"
            )
        wanted, former = _former(engine, manifest, manifest.former_template)
        data = former.read_bytes() if former.is_file() else b""
        if _entry(data) != wanted:
            raise TemplateSwapError(
                f"{former}: is missing or was changed; give a template file instead of --restore"
            )
        return _swap(engine, manifest, data, named=former)


def _former(engine: Path, manifest: Manifest, former: FileEntry) -> tuple[FileEntry, Path]:
    """Return the template to bring back, and where it is. Where the former one is in place,
    something was interrupted: a restore, if the one it brought back is still kept, which then goes
    on."""
    current = engine / CHAT_TEMPLATE
    if _entry_of(current) != former:
        return former, _kept(engine, former)
    wanted = manifest.files[CHAT_TEMPLATE]
    kept = _kept(engine, wanted)
    return (wanted, kept) if kept.is_file() else (former, current)


def _require_known(engine: Path, manifest: Manifest) -> None:
    """Check that the template that stands there is one of ours."""
    current = engine / CHAT_TEMPLATE
    if _entry_of(current) not in (manifest.files[CHAT_TEMPLATE], manifest.former_template):
        raise TemplateSwapError(
            f"{current}: was changed by hand; make it the engine's with "
            f"`gemma4 template {engine} {current}`"
        )


def _swap(engine: Path, manifest: Manifest, data: bytes, *, named: Path) -> Swap:
    current, fresh = engine / CHAT_TEMPLATE, engine / _NEW_TEMPLATE
    wanted, standing = _entry(data), _entry_of(current)
    _write(fresh, data, like=current)
    try:
        new = sample_renderings(fresh, named=named)
        if standing == wanted:
            return _adopt(engine, manifest, wanted)
        old = _rendered(current)
        _write(_kept(engine, standing), current.read_bytes(), like=current)
        _write_manifest(engine, manifest, wanted, former=standing)
        fresh.replace(current)
        _sync(engine)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    _drop_others(engine, standing)
    return Swap(True, _kept(engine, standing), _differences(old, new))


def _adopt(engine: Path, manifest: Manifest, wanted: FileEntry) -> Swap:
    """Adopt a file that is in place already: edited there, or left there by an interrupted
    replacement."""
    former = manifest.former_template
    if former == wanted or (former is not None and not _kept(engine, former).is_file()):
        former = None
    changed = manifest.files[CHAT_TEMPLATE] != wanted
    if changed:
        _write_manifest(engine, manifest, wanted, former=former)
        _drop_others(engine, former)
    return Swap(changed, None if former is None else _kept(engine, former), "")


def _rendered(path: Path) -> dict[str, str]:
    """Render the samples with the template that goes; one that cannot be rendered may well be
    replaced."""
    try:
        return sample_renderings(path)
    except TemplateError as error:
        return {"every sample": f"(refused: {error})"}


def _differences(old: dict[str, str], new: dict[str, str]) -> str:
    lines: list[str] = []
    for name in dict.fromkeys((*old, *new)):
        lines += difflib.unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            f"{name}, former template",
            f"{name}, new template",
            lineterm="",
        )
    return "\n".join(lines)


def _kept(engine: Path, entry: FileEntry) -> Path:
    return engine / f"chat_template.{entry.sha256[:12]}.jinja"


def _drop_others(engine: Path, entry: FileEntry | None) -> None:
    """Remove the templates that former replacements kept, all but that of ``entry``."""
    kept = None if entry is None else _kept(engine, entry)
    for path in engine.glob("chat_template.????????????.jinja"):
        if path != kept:
            path.unlink(missing_ok=True)


def _entry(data: bytes) -> FileEntry:
    return FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _entry_of(path: Path) -> FileEntry:
    return _entry(read_file(path))


def _write_manifest(
    engine: Path, manifest: Manifest, wanted: FileEntry, *, former: FileEntry | None
) -> None:
    files = manifest.files | {CHAT_TEMPLATE: wanted}
    new = manifest.model_copy(update={"files": files, "former_template": former})
    path = engine / MANIFEST_NAME
    _write(path, (new.model_dump_json(indent=2) + "\n").encode(), like=path)


def _write(path: Path, data: bytes, *, like: Path) -> None:
    """Write atomically and durably, with the permissions of ``like``."""
    temporary = path.with_name(f".{path.name.lstrip('.')}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(like.stat().st_mode & 0o777)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(engine: Path) -> Iterator[None]:
    read_manifest(engine)  # says what is wrong with a path that is no engine folder
    descriptor = os.open(engine, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TemplateSwapError(
                f"{engine}: another `gemma4 template` is at work; wait for it"
            ) from None
        yield
    finally:
        os.close(descriptor)
