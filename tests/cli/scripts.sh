#!/usr/bin/env bash
# The shell scripts of the project: clean, and one clear sentence when something is missing.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$MT_SOURCE_DIR" || exit 1

if command -v shellcheck >/dev/null; then
    that shellcheck -x tools/quickstart tools/check tools/fuzz tools/packages .ci/run
    that shellcheck -x tests/*/*.sh
fi
for script in tools/quickstart tools/check tools/fuzz .ci/run; do
    that test -x "$script"
    that bash -n "$script"
done

# run CODE PATTERN command...: exit code and a line on stderr.
run() {
    local want=$1 pattern=$2 code
    shift 2
    last=("$@")
    "$@" >"$work/.out" 2>"$work/.err" </dev/null
    code=$?
    looks=$((looks + 1))
    [[ $code == "$want" ]] || complain "exit $code, not $want"
    [[ -z $pattern ]] || says "$pattern"
}
run 0 '' tools/quickstart --help
prints 'MICROTOME_QUICKSTART_DIR'
run 0 '' tools/check --help
prints '--sanitize'
run 2 'no argument' tools/quickstart --nonsense
run 2 'unknown argument --nonsense' tools/check --nonsense
run 0 '' tools/fuzz --help
prints 'CPU seconds'
run 2 'there is no tests/fuzz/fuzz_nothing' tools/fuzz nothing
run 2 'whole numbers' tools/fuzz --seconds 0

: >"$work/file"
MICROTOME_QUICKSTART_DIR=$work/file/out run 1 '^quickstart: the folder .*file/out cannot be made\.$' tools/quickstart
that test "$(wc -l <"$work/.err")" = 1

# Machines of another kind, played by fakes that stand first on the path.
fakes=$work/fakes
mkdir -p "$fakes" "$work/bare"
for tool in bash env dirname mkdir mktemp rm nproc cat sed grep head tail; do
    ln -s "$(command -v $tool)" "$work/bare/$tool"
done
export MICROTOME_QUICKSTART_DIR=$work/out
PATH=$work/bare run 1 '^quickstart: this script knows Debian 12 and Ubuntu .*apt' "$work/bare/bash" tools/quickstart
that test "$(wc -l <"$work/.err")" = 1

fake() {
    printf '#!/bin/sh\n%s\n' "$2" >"$fakes/$1"
    chmod +x "$fakes/$1"
}
fake dpkg-query 'echo unknown; exit 1'
# sudo, where it is used, runs the fake as well.
# shellcheck disable=SC2016
fake sudo 'exec "$@"'
# shellcheck disable=SC2016
fake apt-get 'case "$*" in *install*) echo "E: Failed to fetch http://mirror/x.deb  Could not resolve host" ; exit 100;; esac; exit 0'
PATH=$fakes:$PATH run 1 '^quickstart: the packages could not be installed .*no network' tools/quickstart
PATH=$fakes:$PATH run 1 '^check: the packages could not be installed .*no network' tools/check
# shellcheck disable=SC2016
fake apt-get 'case "$*" in *install*) echo "E: You do not have enough space: No space left on device" ; exit 100;; esac; exit 0'
PATH=$fakes:$PATH run 1 'the disk is full' tools/quickstart
if ((EUID != 0)); then
    rm "$fakes/sudo"
    for tool in "$work"/bare/*; do ln -sf "$(readlink "$tool")" "$fakes/${tool##*/}"; done
    PATH=$fakes run 1 'there is no sudo: as root, run: apt-get install' "$work/bare/bash" tools/quickstart
fi
finish
