#!/usr/bin/env bash
# Run all tests in three lanes at once: lanes.sh PYTHON [ARGUMENTS OF PYTEST]
#
# The lanes are the tests that share the machine, the end-to-end tests, and the other tests that are
# to run one by one (tests/alone.py). They wait more than they compute, so together they take little
# longer than the longest. Each has a network, process ids, /tmp and /dev/shm of its own, so that no
# lane sees the ports and files of another, or what the machine does to its network meanwhile; that
# needs root, or a user namespace. Each lane's output comes when it has ended.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
python=$1
shift
logs=$(mktemp -d)

# Each lane is a process group, which no Ctrl-C reaches. unshare ignores SIGTERM; when it is killed,
# so is all that runs in its namespace.
set -m
# shellcheck disable=SC2317 # called by the trap
end() {
  local job
  for job in $(jobs -p); do kill -TERM -- "-$job"; done
  if [ -n "$(jobs -p)" ]; then sleep 2; fi
  for job in $(jobs -p); do kill -KILL -- "-$job"; done
  rm -rf "$logs"
} 2>/dev/null
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

apart=(unshare --net --mount --pid --fork --kill-child --mount-proc)
if [ "$(id -u)" != 0 ]; then apart+=(--map-root-user); fi
if ! "${apart[@]}" true; then
  echo "lanes.sh: this user may not make namespaces; run make test without LANES" >&2
  exit 2
fi

isolated() { # bash stays process 1: it reaps what tests leave behind
  # shellcheck disable=SC2016,SC2317 # expanded by the inner shell; called by lane
  "${apart[@]}" bash -c 'tmp=$1 python=$2; shift
    "$python" scripts/loopback.py && mount -t tmpfs tmpfs /dev/shm && mount --bind "$tmp" /tmp &&
      "$@"; exit "$?"' bash "$@"
}

lane() {
  local name=$1 status
  shift
  "$@" >"$logs/$name.log" 2>&1
  status=$?
  # 5 is pytest's status when the arguments name tests of other lanes only.
  if [ "$status" = 5 ]; then status=0; fi
  {
    flock 9
    echo "== $name: status $status after $SECONDS s"
    cat "$logs/$name.log"
  } 9>"$logs/lock"
  return "$status"
}

mkdir "$logs/together" "$logs/e2e" "$logs/rest"
lane together isolated "$logs/together" "$python" -m pytest --only together -n 2 --dist loadfile \
  --no-loadscope-reorder "$@" &
lane e2e isolated "$logs/e2e" "$python" -m pytest --only e2e "$@" &
lane rest isolated "$logs/rest" "$python" -m pytest --only rest "$@" &
status=0
for job in $(jobs -p); do wait "$job" || status=1; done
exit "$status"
