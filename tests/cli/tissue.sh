#!/usr/bin/env bash
# microtome tissue: mask and polygons of a drawn slide.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

slide a.svs --size 3000x2400 --seed 5
svs=$REPLY
expect 0 tissue "$svs" -o "$work/mask.png" --geojson "$work/t.geojson"
silent err
prints '^tissue +[0-9.]+ mm2 of [0-9.]+ mm2' '^threshold +optical density' '^mask +[0-9]+ x [0-9]+ px'
that test "$(head -c 8 "$work/mask.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a
json '.type == "FeatureCollection" and (.features | length) > 0' "$work/t.geojson"
json 'all(.features[]; .geometry.type | test("Polygon"))' "$work/t.geojson"
json '[.. | numbers] | min >= 0 and max <= 3000' "$work/t.geojson"

expect 0 tissue "$svs" --geojson "$work/t2.geojson" --json --threads 2
json '.tissue_mm2 > 0 and .tissue_mm2 < .slide_mm2 and .pieces >= 1'
json '(.slide_mm2 - 3000 * 2400 * 0.25e-6 | fabs) < 0.02'
that cmp -s "$work/t.geojson" "$work/t2.geojson" # any number of threads

# The same picture in another file layout gives the same area.
area=$(jq .tissue_mm2 "$work/.out")
slide a.tif --size 3000x2400 --seed 5 --tile 256
expect 0 tissue "$REPLY" -o "$work/m2.png" --json
json "(.tissue_mm2 - $area | fabs) < 0.02 * $area"

# Spacing: asked for when missing, taken from the command line when given.
slide n.svs --size 1200x1000 --no-mpp
expect 1 tissue "$REPLY" -o "$work/m3.png"
silent out
says 'spacing|mpp' 'assume-mpp'
that test ! -e "$work/m3.png"
expect 0 tissue "$REPLY" -o "$work/m3.png" --assume-mpp 0.5 --json
json '.slide_mm2 > 0.29 and .slide_mm2 < 0.31'

# What cannot be written or read.
: >"$work/file"
expect 1 tissue "$svs" -o "$work/file/m.png"
says 'file/m.png'
expect 1 tissue "$svs" -o "$work/no/such/folder/m.png"
expect 1 tissue "$work/none.svs" -o "$work/m4.png"
that test ! -e "$work/m4.png"
that test "$(find "$work" -name '.*tmp*' | wc -l)" = 0

if data slides/CMU-1-Small-Region.svs; then
    expect 0 tissue "$REPLY" -o "$work/cmu.png" --json
    json '.tissue_mm2 > 0.5 and .tissue_mm2 < .slide_mm2'
fi
finish
