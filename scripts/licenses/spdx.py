"""What packages say of their license, as SPDX expressions."""

from __future__ import annotations

import re

from licenses.closure import Found

__all__ = ["copyleft", "spdx"]

_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Of the field License and of classifiers, where it is no SPDX expression already."""
_BOTH = {"uvloop": "MIT OR Apache-2.0"}
"""Packages that name one of their licenses in each field; from the files that they bring."""
_ID = re.compile(r"[A-Za-z0-9.+-]+")
_KNOWN = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "PSF-2.0"}
"""SPDX identifiers that the field License is believed to mean."""
_COPYLEFT = re.compile(r"(A?GPL|LGPL|MPL|EPL|CDDL|EUPL|SSPL|OSL|CPL|CC-BY-SA|MS-RL|QPL)-?")


def spdx(found: Found) -> str:
    """Return the license of a package. Raises :class:`ValueError` where it says none that is
    known."""
    if found.expression:
        return found.expression
    if found.name in _BOTH:
        return _BOTH[found.name]
    for text in (found.field, *found.classifiers):
        if text in _WORDS:
            return _WORDS[text]
        if text and set(_ID.findall(text)) <= _KNOWN | {"AND", "OR"}:
            return text
    raise ValueError(
        f"{found.name} {found.version}: says {found.field[:60]!r} and {found.classifiers!r}; read "
        "its license and add the words to scripts/licenses/spdx.py"
    )


def copyleft(expression: str) -> list[str]:
    """Return the parts of an SPDX expression that ask who passes the code on for its source."""
    return [part for part in _ID.findall(expression) if _COPYLEFT.match(part)]
