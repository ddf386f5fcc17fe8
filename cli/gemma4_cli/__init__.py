"""The ``gemma4`` command: one thin module per subcommand."""

import os
import signal
import sys

if os.path.basename(sys.argv[0] if sys.argv else "") == "gemma4":  # noqa: PTH119 - no imports yet
    # Ctrl-C while the command is still being imported; :mod:`gemma4_cli.guard` takes over then.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
