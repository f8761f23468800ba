#!/usr/bin/env bash
# microtome info: slides drawn here, files that are no slides, real slides.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

slide a.svs --size 1500x1100 --seed 3 --mpp 0.25
svs=$REPLY
expect 0 info "$svs"
silent err
prints '^format +aperio-svs' '^size +1500 x 1100 px' '^spacing +0.25 um/px \(aperio' 'tiles of 240 x 240, jpeg' '^synthetic +yes'
prints '^label ' '^macro '
expect 0 info --json "$svs"
silent err
json '.format == "aperio-svs" and .vendor == "aperio" and .width == 1500 and .height == 1100'
json '.mpp_x == 0.25 and .mpp_y == 0.25 and (.mpp_source | length) > 0 and .synthetic'
json '.levels[0] | .tile_width == 240 and .tiles_x == 7 and .tiles_y == 5 and .codec == "jpeg" and .downsample == 1'
json '[.associated[].name] | contains(["label", "macro"])'
json "has(\"sha256\") | not"
expect 0 info "$svs" --json --digest
json ".sha256 == \"$(sha256sum "$svs" | cut -d' ' -f1)\""
json ".file_bytes == $(stat -c %s "$svs")"

slide b.tif --size 900x700 --no-mpp
expect 0 info "$REPLY"
prints '^format +generic-tiff' '^spacing +unknown \(looked at .*\)'
expect 0 info "$REPLY" --json
json '.mpp_x == null and .mpp_y == null and .mpp_source == "" and (.mpp_looked_at | length) > 0'

# Planted label text and other words of the file stay inside.
slide c.svs --size 600x600 --label 'DOE JANE 1970-01-01'
expect 0 info "$REPLY"
not_prints 'DOE|JANE|1970'
expect 0 info "$REPLY" --json
not_prints 'DOE|JANE|1970'

expect 0 info --formats
prints '^aperio-svs ' '^generic-tiff ' '^openslide '
not_prints '\(null\)'
expect 0 info --formats --json
json 'length >= 3 and all(.[]; (.name | length) > 0 and (.proof | test("proven on real files|fixture only")))'

# No slide: one line, exit 1, nothing on stdout.
refused() {
    expect 1 info "$1"
    silent out
    says "$2"
    that test "$(wc -l <"$work/.err")" = 1
}
refused "$work/none.svs" 'none.svs.*(No such file|does not exist|not found)'
refused "$work" .
: >"$work/empty.svs"
refused "$work/empty.svs" .
head -c 5000 "$svs" >"$work/cut.svs"
refused "$work/cut.svs" .
head -c 4096 /dev/urandom >"$work/noise.svs"
refused "$work/noise.svs" .
ln -s loop.svs "$work/loop.svs"
refused "$work/loop.svs" .

if data slides; then
    slides=$REPLY
    expect 0 info --json "$slides/CMU-1-Small-Region.svs"
    json '.format == "aperio-svs" and .width == 2220 and .height == 2967 and .mpp_x == 0.499 and .objective == 20'
    json '[.associated[].name] | sort == ["label", "macro", "thumbnail"]'
    expect 0 info --json "$slides/TCGA-CR-7395-01A-01-TS1.svs"
    json '.width == 4443 and (.levels | length) == 2 and .levels[0].codec == "jp2k" and .mpp_x == null and .icc_bytes > 0'
    expect 0 info --json "$slides/test3-DAPI-2-387.ndpi"
    json '.width > 0'
    for f in "$slides"/malformed/* "$slides/unopenable.tiff"; do
        "$MICROTOME" info "$f" >"$work/.out" 2>"$work/.err"
        code=$?
        last=(microtome info "${f##*/}")
        looks=$((looks + 1))
        ((code == 0 || code == 1)) || complain "exit $code"
        [[ $code == 0 || $(wc -l <"$work/.err") == 1 ]] || complain "not one line"
    done
fi
finish
