"""Shared libraries that wheels bring inside of them (folders NAME.libs), and their licenses.

No metadata says these. They are what the libraries' own projects say, in the versions of Ubuntu
22.04 and of GCC that the wheels took them from; nobody asked a lawyer.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["LIBRARIES", "bundled"]

_GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
_GNU = "LGPL-3.0-or-later OR GPL-2.0-or-later"

LIBRARIES = {
    "libacl": "LGPL-2.1-or-later",
    "libarchive": "BSD-2-Clause",
    "libb64": "LicenseRef-public-domain",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libbz2": "bzip2-1.0.6",
    "libcom_err": "MIT",
    "libcrypto": "Apache-2.0",
    "libcudart": "LicenseRef-NVIDIA-CUDA-EULA",
    "libcurl": "curl",
    "libdcgm": "Apache-2.0",
    "libffi": "MIT",
    "libgfortran": _GCC,
    "libgmp": _GNU,
    "libgnutls": "LGPL-2.1-or-later",
    "libgssapi_krb5": "MIT",
    "libhogweed": _GNU,
    "libicudata": "ICU",
    "libicuuc": "ICU",
    "libidn2": _GNU,
    "libk5crypto": "MIT",
    "libkeyutils": "LGPL-2.0-or-later",
    "libkrb5": "MIT",
    "libkrb5support": "MIT",
    "liblber": "OLDAP-2.8",
    "libldap": "OLDAP-2.8",
    "liblz4": "BSD-2-Clause",
    "liblzma": "LicenseRef-public-domain",
    "libnettle": _GNU,
    "libnghttp2": "MIT",
    "libnuma": "LGPL-2.1-only",
    "libopenblas64_p": "BSD-3-Clause",
    "libp11-kit": "BSD-3-Clause",
    "libpsl": "MIT",
    "libpython3": "PSF-2.0",
    "libquadmath": "LGPL-2.1-or-later",
    "librtmp": "LGPL-2.1-or-later",
    "libsasl2": "BSD-4-Clause-UC",
    "libscipy_openblas": "BSD-3-Clause",
    "libsodium": "ISC",
    "libssh": "LGPL-2.1-or-later",
    "libssl": "Apache-2.0",
    "libtasn1": "LGPL-2.1-or-later",
    "libtritonserver": "BSD-3-Clause",
    "libunistring": _GNU,
    "libxml2": "MIT",
    "libzmq": "MPL-2.0",
    "libzstd": "BSD-3-Clause",
}
"""By the name without version and hash."""


def bundled(site_packages: Path, package: str) -> list[str]:
    """Return the names of the libraries that the wheel of ``package`` brought, without versions."""
    folder = site_packages / f"{package.replace('-', '_')}.libs"
    return sorted({_plain(path.name) for path in folder.glob("*.so*")})


def _plain(name: str) -> str:
    """Return ``libldap`` for ``libldap-2-858af7e7.5.so.0.1.13``."""
    stem = re.sub(r"-[0-9a-f]{8}", "", name.partition(".so")[0])
    return re.sub(r"(-r\d.*|-2(\.\d)?|\.\d+)$", "", stem)
