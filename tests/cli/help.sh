#!/usr/bin/env bash
# Help, man pages, version: one description, the same everywhere.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

commands=(info tissue tiles run models qc synth bench doctor stain)

expect 0 help
silent err
prints '^usage: microtome COMMAND' 'exit code: 0 ' 'not a medical device'
for c in "${commands[@]}"; do prints "^  $c "; done
cp "$work/.out" "$work/help"
expect 0 --help
that cmp -s "$work/.out" "$work/help"
expect 2
silent out
says '^usage: microtome COMMAND'

expect 0 --version
prints '^microtome [0-9]+\.[0-9]+\.[0-9]+ \(kernels (ref|avx2|avx512)\)$'

for c in "${commands[@]}"; do
    expect 0 help "$c"
    silent err
    prints "^usage: microtome $c " '^options:' '^examples:' '--help'
    that test "$(awk 'length > 84' "$work/.out" | wc -l)" -le 2 # only examples may be longer
    cp "$work/.out" "$work/help.$c"
    expect 0 "$c" --help
    that cmp -s "$work/.out" "$work/help.$c"
    expect 0 "$c" -h
    that cmp -s "$work/.out" "$work/help.$c"

    # The page that the build made is what the binary says, and roff has nothing to say against it.
    page=$MT_BINARY_DIR/man/microtome-$c.1
    expect 0 --man "$c"
    that cmp -s "$work/.out" "$page"
    prints '^\.TH MICROTOME-' '^\.SH EXIT STATUS'
    # Every option of the help stands in the page.
    while read -r option; do
        that grep -qF -- "${option//-/\\-}" "$page"
    done < <(grep -oE '^ +(-[a-z], )?--[a-z-]+' "$work/help.$c" | grep -oE -- '--[a-z-]+')
done
that test "$(find "$MT_BINARY_DIR/man" -name '*.1' | wc -l)" = $((${#commands[@]} + 1))
if command -v groff >/dev/null; then
    for page in "$MT_BINARY_DIR"/man/*.1; do
        that test -z "$(groff -ww -man -Tutf8 "$page" 2>&1 >/dev/null)"
    done
    that grep -qE 'run.*-o DIR' <(groff -man -Tutf8 "$MT_BINARY_DIR/man/microtome-run.1" 2>&1 | sed 's/\x1b\[[0-9;]*m//g;s/.\x08//g')
fi
if command -v man >/dev/null; then
    for page in "$MT_BINARY_DIR"/man/*.1; do
        that test -z "$(MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)"
    done
fi

expect 2 help nonsense
says '"nonsense" is no command'
expect 2 nonsense
says '"nonsense" is no command' 'microtome help'
silent out

# A full disk behind standard output is a failure.
if [[ -w /dev/full ]]; then
    "$MICROTOME" help >/dev/full 2>"$work/.err"
    that test $? = 1
    says 'standard output could not be written'
fi
finish
