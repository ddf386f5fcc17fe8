#!/bin/sh
# usage: find_python.sh PYTHON...
# Prints the first of these commands that is a Python the server runs on. When none is, it prints
# one that can at least say what lacks (`python -m gemma4_runtime.needs`). When there is none of
# Python 3 either, it says itself what to install, for apt or dnf, and ends with status 1.
set -u

first() { # the first command for which this Python expression is true
  expression=$1
  shift
  for python in "$@"; do
    if "$python" -c "import sys; sys.exit(not ($expression))" 2>/dev/null; then
      echo "$python"
      return 0
    fi
  done
  return 1
}

first '(3, 11) <= sys.version_info[:2] <= (3, 12)' "$@" && exit 0
first 'sys.version_info[:2] >= (3, 6)' "$@" && exit 0

codename=$(sed -n 's/^UBUNTU_CODENAME=//p; s/^VERSION_CODENAME=//p' "${OS_RELEASE:-/etc/os-release}" \
  2>/dev/null | head -n 1)
sudo='sudo '
[ "$(id -u)" -eq 0 ] && sudo=''
if command -v apt-get >/dev/null; then
  case $codename in
    bookworm | jammy) packages='python3.11 python3.11-venv libpython3.11 libgomp1' ;;
    noble) packages='python3.12 python3.12-venv libpython3.12 libgomp1' ;;
    *) packages='python3 libgomp1' ;;
  esac
  line="${sudo}apt-get update && ${sudo}apt-get install -y $packages"
elif command -v dnf >/dev/null; then
  line="${sudo}dnf install -y python3.12 libgomp"
else
  line='(with the package manager of this system)'
fi
{
  echo "There is no Python 3 here (looked for: $*); the server runs on 3.11 and 3.12."
  echo 'Install it with this line, then run the same command again:'
  echo "  $line"
} >&2
exit 1
