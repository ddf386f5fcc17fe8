"""The Python of the embedded Triton's model processes.

Its Python backend embeds Python in isolated mode: it ignores PYTHONPATH and every other setting in
the environment, decodes paths as ASCII, and finds its packages only through the virtual environment
of the first ``python3`` in PATH. So it gets a virtual environment of its own, which lists the
search path of this interpreter.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gemma4_serve.links import Links

__all__ = ["make_model_python"]


def make_model_python(links: Links) -> Path:
    """Make the environment's folder with programs, for the start of PATH."""
    root = links.folder / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = root / "lib" / version / "site-packages"
    programs = root / "bin"
    for folder in (packages, programs):
        folder.mkdir(parents=True, exist_ok=True)
    home = links.plain(sys.base_prefix) / "bin"
    (root / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    paths = [
        links.plain(Path(path).absolute()) for path in sys.path if path and Path(path).exists()
    ]
    (packages / "gemma4.pth").write_text("".join(f"{path}\n" for path in paths))
    for name in ("python", "python3", version):
        link = programs / name
        link.unlink(missing_ok=True)
        link.symlink_to(home / version)
    return programs
