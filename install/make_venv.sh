#!/bin/sh
# usage: make_venv.sh PYTHON FOLDER
# Makes a virtual environment with Python's own venv, or with virtualenv where ensurepip is a package
# that cannot be installed (Python 3.11 of Debian 12 on Debian 13).
set -eu
if "$1" -c 'import ensurepip' 2>/dev/null; then
  exec "$1" -m venv "$2"
fi
exec virtualenv --quiet --python "$1" "$2"
