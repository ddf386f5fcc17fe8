"""docs/reference/licenses.md is made from what the installed packages say; `UPDATE_DOCS=1 pytest`
on this file writes it anew. No copyleft license comes in unseen."""

from __future__ import annotations

import os
import re
import sysconfig
from pathlib import Path

import pytest
from gemma4_testing.repository import ROOT
from licenses.bundled import LIBRARIES, bundled
from licenses.closure import Found, closure
from licenses.spdx import copyleft, spdx

PAGE = ROOT / "docs" / "reference" / "licenses.md"
SITE = Path(sysconfig.get_path("purelib"))
SETS = {"server": ("serve", "gateway", "otel", "redis"), "load": ("load",)}
"""As deploy/docker/Dockerfile.cpu installs them."""
COPYLEFT = {
    "bidict": "used as it is, by python-socketio",
    "certifi": "a list of authorities, used as it is",
    "libacl": "linked dynamically", "libgfortran": "its exception allows it",
    "libgmp": "linked dynamically", "libgnutls": "linked dynamically",
    "libhogweed": "linked dynamically", "libidn2": "linked dynamically",
    "libkeyutils": "linked dynamically", "libnettle": "linked dynamically",
    "libnuma": "linked dynamically", "libquadmath": "linked dynamically",
    "librtmp": "linked dynamically", "libssh": "linked dynamically",
    "libtasn1": "linked dynamically", "libunistring": "linked dynamically",
    "libzmq": "linked dynamically",
    "orjson": "files of its own, used as they are", "tqdm": "files of its own, used as they are",
}  # fmt: skip
"""What may come in with such a license, and why that asks nothing of who runs a server."""
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))
HEAD = """# Licenses of what is installed

Made by tests/deploy/test_licenses.py from the metadata of the packages in `requirements.lock`, as
they are installed for `serve`, `gateway`, `otel` and `redis` (server) and for `load`: the two
images of `deploy/docker/Dockerfile.cpu`. The expressions are SPDX. It is what the packages say of
themselves, read by a program and by no lawyer. The test fails when a package comes with a copyleft
license that is not in its list.

Not listed here: Debian's packages (`/usr/share/doc/*/copyright` in an image), NVIDIA's Triton and
TensorRT-LLM in the GPU image (their own license files), Gemma's weights (the model card), and code
that is compiled into an extension module, such as llama.cpp in `xllamacpp`. Nor are extras that no
image has: `dynamo`, and `aiconfigurator` (Apache-2.0; it brings pandas, pyarrow and matplotlib).

"""


@pytest.fixture(scope="module")
def sets() -> dict[str, dict[str, Found]]:
    return {name: closure(extras) for name, extras in SETS.items()}


def every(sets: dict[str, dict[str, Found]]) -> dict[str, Found]:
    return dict(sorted({k: v for found in sets.values() for k, v in found.items()}.items()))


def rows(sets: dict[str, dict[str, Found]]) -> list[str]:
    """Without the versions of a run with other packages than the lock file's."""
    lines = []
    for name, found in every(sets).items():
        where = ", ".join(each for each in sets if name in sets[each])
        lines.append(f"| {name} | {PINS[name]} | {spdx(found)} | {where} |")
    return lines


def library_rows(sets: dict[str, dict[str, Found]]) -> list[str]:
    return [
        f"| {library} | {name} | {LIBRARIES[library]} |"
        for name in every(sets)
        for library in bundled(SITE, name)
    ]


def test_the_page_is_up_to_date(sets: dict[str, dict[str, Found]]) -> None:
    text = (
        f"{HEAD}## Packages of Python\n\n| package | version | license | in |\n|---|---|---|---|\n"
        + "\n".join(rows(sets))
        + "\n\n## Libraries inside of them\n\nNo metadata says their licenses; "
        "`scripts/licenses/bundled.py` does.\n\n| library | package | license |\n|---|---|---|\n"
        + "\n".join(library_rows(sets))
        + "\n"
    )
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    assert len(rows(sets)) > 90
    # On another Python some packages are not needed; what is there must be as the page says.
    assert set(text.splitlines()) <= set(page.splitlines())


def test_every_copyleft_license_is_known(sets: dict[str, dict[str, Found]]) -> None:
    found = {name for name, package in every(sets).items() if copyleft(spdx(package))}
    brought = {library for name in every(sets) for library in bundled(SITE, name)}
    found |= {library for library in brought if copyleft(LIBRARIES[library])}
    assert found == COPYLEFT.keys()
    assert LIBRARIES.keys() == brought


@pytest.mark.parametrize(
    ("field", "classifiers", "says"),
    [
        ("GPLv3", (), None),
        ("", ("GNU Affero General Public License v3",), None),
        ("", (), None),
        ("MIT", ("MIT License",), "MIT"),
        ("Copyright (c) some text", ("BSD License",), "BSD-3-Clause"),
        ("MPL-2.0 AND MIT", (), "MPL-2.0 AND MIT"),
    ],
)
def test_what_is_not_known_is_an_error(
    field: str, classifiers: tuple[str, ...], says: str | None
) -> None:
    found = Found("x", "1", "", field, classifiers)
    if says is None:
        with pytest.raises(ValueError, match=r"read its license"):
            spdx(found)
    else:
        assert spdx(found) == says


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("MIT", []),
        ("Apache-2.0 OR BSD-3-Clause", []),
        ("AGPL-3.0-only", ["AGPL-3.0-only"]),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", ["MPL-2.0"]),
        ("LGPL-3.0-or-later OR GPL-2.0-or-later", ["LGPL-3.0-or-later", "GPL-2.0-or-later"]),
        ("SSPL-1.0", ["SSPL-1.0"]),
        ("EUPL-1.2", ["EUPL-1.2"]),
    ],
)
def test_copyleft_is_seen(expression: str, parts: list[str]) -> None:
    assert copyleft(expression) == parts
