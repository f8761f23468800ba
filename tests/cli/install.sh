#!/usr/bin/env bash
# An installed tree works by itself: binary, man pages, library with pkg-config.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

prefix=$work/prefix
cmake --install "$MT_BINARY_DIR" --prefix "$prefix" >"$work/.out" 2>"$work/.err"
code=$?
last=(cmake --install)
that test "$code" = 0
MICROTOME=$prefix/bin/microtome
expect 0 --version
prints '^microtome '
expect 0 info --formats
exists "$prefix"/share/man/man1/microtome.1 "$prefix"/share/man/man1/microtome-{info,tissue,tiles,run,models,synth,bench,doctor}.1
exists "$prefix"/include/microtome/{slide,batch,err}.h

if command -v pkg-config >/dev/null; then
    pc=$(find "$prefix" -name microtome.pc)
    exists "$pc"
    cat >"$work/user.c" <<'C'
#include <microtome/system.h>
#include <stdio.h>
int main(void) { return puts(mt_version()) < 0; }
C
    read -ra flags < <(PKG_CONFIG_PATH=${pc%/*} pkg-config --cflags --libs microtome)
    # A sanitized library needs its runtime in the program too.
    grep -q 'MT_ASAN:BOOL=ON' "$MT_BINARY_DIR/CMakeCache.txt" && flags+=('-fsanitize=address,undefined')
    grep -q 'MT_TSAN:BOOL=ON' "$MT_BINARY_DIR/CMakeCache.txt" && flags+=(-fsanitize=thread)
    compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$MT_BINARY_DIR/CMakeCache.txt")
    last=("${compiler:-cc}" user.c)
    that "${compiler:-cc}" "$work/user.c" "${flags[@]}" -o "$work/user"
    LD_LIBRARY_PATH=$(dirname "${pc%/*}") "$work/user" >"$work/.out" 2>"$work/.err"
    prints '^[0-9]+\.[0-9]+\.[0-9]+$'
fi
finish
