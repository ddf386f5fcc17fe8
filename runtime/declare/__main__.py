"""``python -m declare``: write what is made of the declaration. ``--check``: write nothing, and
exit with 1 when a file would change."""

from __future__ import annotations

import argparse

from declare.made import ROOT, made

__all__ = ["main"]


def main() -> int:
    """Write or check the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m declare", description=__doc__)
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args().check
    stale = {
        path: text
        for path, text in made(ROOT).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        name = path.relative_to(ROOT)
        print(f"{name}: is out of date; run `make generate`" if check else f"wrote {name}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
