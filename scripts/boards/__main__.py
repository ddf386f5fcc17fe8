"""Write the dashboards, or with ``--check`` say which files differ from what would be written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from boards.all_boards import FOLDERS, stale, write

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Write nothing; 1 if a file differs.")
    if not parser.parse_args().check:
        write()
        print("written:", *FOLDERS)
    elif wrong := stale():
        sys.exit("run `python scripts/boards`; these differ: " + " ".join(map(str, wrong)))
