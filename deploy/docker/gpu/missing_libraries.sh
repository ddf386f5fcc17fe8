#!/bin/sh
# Copy what FILE ... need and the loader does not find here from SOURCE to TARGET, nothing else: a
# library that this image has is never replaced. CUDA's and the driver's are never copied.
#
# usage: missing_libraries.sh SOURCE TARGET FILE ...
set -eu
source=$1 target=$2
shift 2
driver='^lib(cuda|nvidia-ml)\.so'
cuda='^lib(cuda|cud|cublas|cufft|cufile|cupti|curand|cusolver|cusparse|nccl|nv)'

missing() {
  LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$target" ldd "$@" 2>/dev/null \
    | awk '/=> not found/ { print $1 }' | sort -u | grep -v -E "$driver" || true
}

mkdir -p "$target"
while names=$(missing "$@") && [ -n "$names" ]; do
  for name in $names; do
    if echo "$name" | grep -q -E "$cuda"; then
      echo "missing_libraries.sh: $name: the image has no such CUDA library; use a base of the" \
        "same CUDA version as Triton's" >&2
      exit 1
    fi
    if [ -e "$target/$name" ] || [ ! -e "$source/$name" ]; then
      echo "missing_libraries.sh: $name: neither this image nor Triton's has it in a form that loads" >&2
      exit 1
    fi
    cp -L "$source/$name" "$target/$name"
    echo "$name"
  done
done
