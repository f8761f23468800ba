#!/usr/bin/env bash
# Tile scores of a real slide against a peer's: 400 tiles of CMU-1-Small-Region.svs, read by OpenSlide
# 3.4.1, resized by Pillow 9.4, scored by ONNX Runtime 1.30 (tests/golden/cmu-1-small-mitosis-peer.csv).
# On self-decoded pixels 0.02 may lie between two engines; this one is held to 1e-4 on every kernel set.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
data slides/CMU-1-Small-Region.svs || exit 77
cmu=$REPLY
data models/mitosis-slimresnet/model.onnx || exit 77
model=$REPLY
peer=$MT_SOURCE_DIR/tests/golden/cmu-1-small-mitosis-peer.csv

# Only these tiles are scored: a small square around the centre of each.
awk -F, 'NR == 1 { printf "{\"type\":\"MultiPolygon\",\"coordinates\":["; next }
    { x = $1 + $3 / 2; y = $2 + $4 / 2; c = NR > 2 ? "," : ""
      printf "%s[[[%d,%d],[%d,%d],[%d,%d],[%d,%d],[%d,%d]]]", c, x - 4, y - 4, x + 4, y - 4, x + 4, y + 4, x - 4, y + 4, x - 4, y - 4 }
    END { print "]}" }' "$peer" >"$work/roi.geojson"

for cpu in auto avx2 ref; do
    # An instruction set that is not there is said before the slide is looked for.
    if ! "$MICROTOME" bench tiling "$work/none" --cpu "$cpu" >/dev/null 2>"$work/.cpu" && grep -q 'only has' "$work/.cpu"; then
        echo "this machine has no $cpu: left out"
        continue
    fi
    expect 0 run "$cmu" -o "$work/$cpu" --model "$model" --cpu "$cpu" --roi "$work/roi.geojson"
    # Rows are found by position; a row that is missing counts as far off.
    worst=$(awk -F, 'FNR == 1 { next } NR == FNR { p[$1 "," $2 "," $3 "," $4] = $NF; next }
        { k = $1 "," $2 "," $3 "," $4; d = k in p ? p[k] - $5 : 9; if (d < 0) d = -d; if (d > w) w = d; n++ }
        END { print n == 400 ? w : 99 }' "$work/$cpu/model-outputs-csv/CMU-1-Small-Region.csv" "$peer")
    echo "$cpu: largest difference $worst"
    that awk "BEGIN { exit !($worst < 1e-4) }"
done
finish
