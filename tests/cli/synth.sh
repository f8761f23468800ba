#!/usr/bin/env bash
# microtome synth: the same bytes every time, layouts, truth, the check against the truth.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

options=(--size 1700x1300 --seed 11 --tumour 0.4)
expect 0 synth -o "$work/a.svs" "${options[@]}" --threads 1 --truth-geojson "$work/a.geojson" --truth-csv "$work/a.csv" --truth-px 128
prints '^written ' '^truth .*a.geojson' '^truth .*a.csv'
silent err
expect 0 synth -o "$work/b.svs" "${options[@]}" --threads 3 --json
json '.width == 1700 and .height == 1300 and .seed == 11'
that cmp -s "$work/a.svs" "$work/b.svs"
expect 0 synth -o "$work/c.svs" --size 1700x1300 --seed 12 --tumour 0.4
that not cmp -s "$work/a.svs" "$work/c.svs"

json '.type == "FeatureCollection" and (.features | length) > 0' "$work/a.geojson"
rows=$(($(wc -l <"$work/a.csv") - 1))
that test "$rows" = $((14 * 11))
# Fractions of a cell sum to one.
# shellcheck disable=SC2016
that awk -F, 'NR > 1 { s = 0; for (i = 3; i <= NF; i++) s += $i; if (s < 0.999 || s > 1.001) { print; exit 1 } }' "$work/a.csv"

if command -v tiffinfo >/dev/null; then
    for layout in '--layout svs' '--layout tiff' '--tile 256 --subsampling 444' '--rgb' '--no-mpp --pen --blur --fold'; do
        # shellcheck disable=SC2086
        expect 0 synth -o "$work/l.tif" --size 700x500 $layout
        that tiffinfo "$work/l.tif" >/dev/null 2>&1
        expect 0 info "$work/l.tif" --json
        json '.width == 700 and .synthetic'
    done
fi
if command -v openslide-show-properties >/dev/null; then
    that grep -q "openslide.vendor: 'aperio'" <(openslide-show-properties "$work/a.svs")
fi

# --check: scores that are the truth itself agree wholly, their reverse not at all.
{
    echo 'minx,miny,width,height,prob_Stroma,prob_Tumour'
    awk -F, -v px=128 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /tumour/) c = i; next }
        { printf "%d,%d,%d,%d,0,%s\n", $1, $2, px, px, $c }' "$work/a.csv"
} >"$work/perfect.csv"
expect 0 synth --check "$work/perfect.csv" "${options[@]}"
prints '^tiles +154, of which [1-9]' '^auc +1\.0000' '^dice +1\.0000 by tiles'
expect 0 synth --check "$work/perfect.csv" "${options[@]}" --json
json '.class == "tumour" and .tiles == 154 and .auc == 1 and .dice_tiles == 1 and .dice_area > 0.7 and .dice_area == .dice_area_labels and .truth_mm2 > 0'
awk -F, 'BEGIN { OFS = "," } NR > 1 { $6 = 1 - $6 } 1' "$work/perfect.csv" >"$work/reverse.csv"
expect 0 synth --check "$work/reverse.csv" "${options[@]}" --json
json '.auc == 0 and .dice_tiles < 0.5'
awk -F, 'BEGIN { OFS = "," } NR > 1 { $6 = 0.7 } 1' "$work/perfect.csv" >"$work/same.csv"
expect 0 synth --check "$work/same.csv" "${options[@]}" --json
json '.auc == 0.5'
expect 0 synth --check "$work/perfect.csv" --size 1700x1300 --seed 12 --tumour 0.4 --json
json '.auc < 0.95' # the truth of another slide

# Score files that are none.
bad_csv() {
    printf '%b' "$1" >"$work/bad.csv"
    expect 1 synth --check "$work/bad.csv"
    silent out
    says "bad.csv: line $2"
}
bad_csv '' 1
bad_csv 'x,y\n' 1
bad_csv 'minx,miny,width,height,prob_Stroma\n' 1
head=minx,miny,width,height,prob_tumour
bad_csv "$head\n0,0,256,256\n" 2
bad_csv "$head\n0,0,256,256,0.5\n0,0,256,0,0.5\n" 3
bad_csv "$head\n0,0,256,256,nan\n" 2
bad_csv "$head\n0,0,99999999,256,0.5\n" 2
bad_csv "$head\n1e300,0,256,256,0.5\n" 2
expect 1 synth --check "$work/none.csv"
says 'none.csv: No such file'

# Whole or not at all: a folder that is none, a stop in the middle.
: >"$work/file"
expect 1 synth -o "$work/file/x.svs" --size 300x300
says 'file'
"$MICROTOME" synth -o "$work/stop.svs" --size 60000x60000 >"$work/.out" 2>"$work/.err" &
pid=$!
last=('microtome synth, stopped')
appears "$work" '*stop.svs*'
kill -TERM $pid
wait $pid
that test $? = 1
says 'stopp|cancel'
that test ! -e "$work/stop.svs"
that test -z "$(find "$work" -name '*stop.svs*')"
finish
