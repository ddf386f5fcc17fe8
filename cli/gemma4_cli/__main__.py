"""``python -m gemma4_cli``: the same as ``gemma4``, where pip's script cannot run."""

import sys
from pathlib import Path

from gemma4_cli.main import app

if __name__ == "__main__":
    script, here = Path(sys.executable).with_name("gemma4"), Path.cwd()
    # What hints to the user name as this command.
    sys.argv[0] = str(script.relative_to(here) if script.is_relative_to(here) else script)
    app(prog_name="gemma4")
