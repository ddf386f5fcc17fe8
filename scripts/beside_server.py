"""usage: beside_server.py ENGINE COMMAND...

Runs the command while the engine is served on free ports, which it finds in GEMMA4_GRPC and
GEMMA4_HTTP. Ends with its status."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gemma4_testing.servers.served import Served


def main(engine: str, *command: str) -> int:
    """Return the status of the command, or 1 where the server did not end well."""
    with tempfile.TemporaryDirectory(prefix="gemma4-pythons-") as folder:
        server = Served(Path(engine), Path(folder) / "run")
        try:
            found = {"GEMMA4_GRPC": str(server.grpc), "GEMMA4_HTTP": str(server.http)}
            status = subprocess.run(command, check=False, env=os.environ | found).returncode
        finally:
            ended = server.stop()
    return status or (1 if ended else 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
