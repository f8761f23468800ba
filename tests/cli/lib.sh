# shellcheck shell=bash disable=SC2034
# What the scripts share: run a command, look at its exit code, stdout and stderr. A failed look is
# printed with its line and the script goes on; finish says whether all was well.
set -u
: "${MICROTOME:?path of the binary}" "${MT_SOURCE_DIR:?}" "${MT_BINARY_DIR:?}"
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/.out"
: >"$work/.err"
bad=0
looks=0

complain() {
    bad=$((bad + 1))
    local frame=1
    while [[ ${BASH_SOURCE[$frame]} == */lib.sh ]]; do frame=$((frame + 1)); done
    printf '%s:%s: %s\n' "${BASH_SOURCE[$frame]##*/}" "${BASH_LINENO[$((frame - 1))]}" "$*"
    printf '    last command: %s\n' "${last[*]}"
    sed 's/^/    stdout: /' "$work/.out" | head -n 25
    sed 's/^/    stderr: /' "$work/.err" | head -n 25
}

# expect CODE microtome-arguments...: runs the binary; its words are in $work/.out and $work/.err.
last=()
expect() {
    local want=$1 code
    shift
    last=(microtome "$@")
    "$MICROTOME" "$@" >"$work/.out" 2>"$work/.err" </dev/null
    code=$?
    looks=$((looks + 1))
    [[ $code == "$want" ]] || complain "exit $code, not $want"
}

# prints/says REGEX...: stdout/stderr has a line for each; not_prints/not_says the contrary.
look() {
    local file=$1 sign=$2 p
    shift 2
    for p in "$@"; do
        looks=$((looks + 1))
        if grep -qE -- "$p" "$work/$file"; then
            [[ $sign == yes ]] || complain "$file has /$p/"
        else
            [[ $sign == no ]] || complain "$file has no /$p/"
        fi
    done
}
prints() { look .out yes "$@"; }
says() { look .err yes "$@"; }
not_prints() { look .out no "$@"; }
not_says() { look .err no "$@"; }

# silent out|err: nothing at all was written there.
silent() {
    looks=$((looks + 1))
    [[ ! -s $work/.$1 ]] || complain "$1 is not empty"
}

# json FILTER [FILE]: jq finds it true, in stdout when no file is named.
json() {
    looks=$((looks + 1))
    jq -e "$1" "${2:-$work/.out}" >/dev/null 2>&1 || complain "JSON ${2:+of ${2##*/} }is not: $1"
}

# that COMMAND...: any other look.
that() {
    looks=$((looks + 1))
    "$@" || complain "not so: $*"
}
not() { ! "$@"; }
exists() { for f in "$@"; do that test -s "$f"; done; }
count() { find "$1" -type f -name "$2" | wc -l; }

# appears DIR NAME: waits, a minute at most, for a file of that name somewhere under DIR.
appears() {
    local i
    for ((i = 0; i < 1200; i++)); do
        [[ -n $(find "$1" -name "$2" 2>/dev/null) ]] && return 0
        sleep 0.05
    done
    complain "no $2 appeared under $1"
}

# The distribution's own Python, whose modules the packages bring. python_check MODULE...: false (with
# a line) when one is missing.
python=/usr/bin/python3
python_check() {
    local m
    for m in "$@"; do
        "$python" -c "import $m" 2>/dev/null && continue
        printf 'skipped: no Python module %s\n' "$m"
        return 1
    done
}

# data RELATIVE: path of real data in $REPLY, false (with a line) when it is absent.
data() {
    REPLY=${MT_TEST_DATA:-}/$1
    [[ -e $REPLY ]] && return 0
    printf 'skipped: no %s (set MT_TEST_DATA)\n' "$1"
    return 1
}

# slide NAME synth-options...: draws a slide into the work folder, path in $REPLY.
slide() {
    REPLY=$work/$1
    shift
    mkdir -p "$(dirname "$REPLY")"
    "$MICROTOME" synth -o "$REPLY" "$@" >"$work/.out" 2>"$work/.err" || {
        last=(microtome synth "$@")
        complain "the slide could not be drawn"
        exit 1
    }
}

finish() {
    printf '%d looks, %d failed\n' "$looks" "$bad"
    exit $((bad > 0))
}
