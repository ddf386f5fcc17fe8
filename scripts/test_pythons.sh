#!/bin/sh
# usage: test_pythons.sh PYTHON...
# Installs clients, gateway and load tests for each of these commands that is a Python from 3.10 on,
# imports every module of theirs, runs their fast tests and, where GEMMA4_GRPC has the port of a
# server, asks it by each of them. Ends with status 1 when one fails or none is found.
set -u
cd "$(dirname "$0")/.."
good='' bad='' none=''
for python in "$@"; do
  version=$("$python" -c 'import sys; assert sys.version_info >= (3, 10)
print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
    none="$none $python"
    continue
  }
  echo "== Python $version"
  venv=.venv-pythons/$version
  # One whose making was interrupted has no pip.
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || rm -rf "$venv"
  if { [ -d "$venv" ] || sh install/make_venv.sh "$python" "$venv"; } &&
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet install '.[test-clients]' &&
    "$venv/bin/python" scripts/import_light.py &&
    "$venv/bin/python" -m pytest --unit --light -q tests/clients tests/load tests/cli &&
    { [ -z "${GEMMA4_GRPC:-}" ] || "$venv/bin/python" scripts/light_clients.py; }; then
    good="$good $version"
  else
    bad="$bad $version"
  fi
done
echo "passed:${good:- none}; failed:${bad:- none}; not found:${none:- none}"
[ -n "$good" ] && [ -z "$bad" ]
