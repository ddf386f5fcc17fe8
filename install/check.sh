#!/bin/sh
# usage: check.sh PYTHON...
# Prints the Python to use, the first of these commands that suits, when this machine has all that
# the server needs; else says what lacks and how to install it, and ends with status 1.
set -eu
cd "$(dirname "$0")/.."
python=$(sh install/find_python.sh "$@")
PYTHONPATH=runtime "$python" -m gemma4_runtime.needs
echo "$python"
