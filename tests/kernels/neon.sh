#!/usr/bin/env bash
# The checks of the float kernels on another machine: cross-compiled for aarch64, run by its emulator.
# Skipped (77) where compiler or emulator is missing.
# usage: neon.sh SOURCE_DIR WORK_DIR
set -euo pipefail
source_dir=$1
work=$2
cc=aarch64-linux-gnu-gcc
for tool in "$cc" qemu-aarch64; do
    command -v "$tool" >/dev/null || {
        echo "skipped: $tool is not installed (packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user)"
        exit 77
    }
done
cd "$source_dir"
rm -rf "$work"
mkdir -p "$work"
flags=(-std=gnu17 -O2 -fno-math-errno -fno-trapping-math -ffp-contract=off -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
    -fopenmp -DMT_NEON=1 -DMT_NO_SIMD=1 '-DMT_VERSION="cross"' -Itests/kernels/cross -Iinclude -Isrc -I.)

# Every file of the room but those of x86, and what it takes from base. One job a core.
mapfile -t sources < <(find src/kernels -name '*.c' ! -name 'avx*'
    printf '%s\n' src/base/{err,mem,cpu,clock,workers}.c tests/support/support.c)
for f in "${sources[@]}"; do # what does not compile is missed by the linker
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
    "$cc" "${flags[@]}" -c "$f" -o "$work/${f//\//_}.o" &
done
wait
objects=()
for f in "${sources[@]}"; do objects+=("$work/${f//\//_}.o"); done

for test in conv ops; do
    "$cc" "${flags[@]}" "tests/kernels/test_$test.c" "${objects[@]}" -lm -pthread -o "$work/test_$test"
    echo "== test_$test"
    qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/test_$test"
done
