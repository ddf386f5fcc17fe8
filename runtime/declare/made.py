"""Every file that is made of the declaration, or has a part that is."""

from __future__ import annotations

from pathlib import Path

from declare import config_pbtxt, docs_page, python_code

__all__ = ["ROOT", "made"]

ROOT = Path(__file__).parents[2]


def made(root: Path) -> dict[Path, str]:
    """Return what they should hold. Raises :class:`ValueError` for a file without the comments
    around its part."""
    texts = {root / docs_page.PAGE: docs_page.page()}
    for region in (*config_pbtxt.regions(), *python_code.regions()):
        region.apply(root, texts)
    return texts
