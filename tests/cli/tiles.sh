#!/usr/bin/env bash
# microtome tiles: what is cut, what is printed, what is refused.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

slide a.svs --size 3000x2000 --seed 9 --mpp 0.5
svs=$REPLY

# Text: spacing with source, level, resample factor.
expect 0 tiles "$svs" -o "$work/t1" --tile-px 256
silent err
prints '^spacing +0.5 um/px \(aperio' '^target +0.5 um/px' '^level +0 \(downsample 1\), resample 1 ' '^plan +sha256 [0-9a-f]{64}$' "^written +$work/t1/a"
n=$(sed -n 's/^tiles *\([0-9]*\).*/\1/p' "$work/.out")
that test "$n" -gt 10
that test "$(count "$work/t1/a" '*.jpg')" = "$n"
exists "$work/t1/a/tiles.csv"
that test "$(($(wc -l <"$work/t1/a/tiles.csv") - 1))" = "$n"

# Any number of threads and any ceiling that is enough: the same bytes.
expect 0 tiles "$svs" -o "$work/t2" --tile-px 256 --threads 3 --memory 64M --stats
prints '^native +[0-9]+ tiles needed, [0-9]+ decoded \(1\.0000 times each\)'
that diff -r "$work/t1/a" "$work/t2/a"

# --mag N is 10/N um/px; --tile-um divides by the pixels.
expect 0 tiles "$svs" -o "$work/t3" --tile-px 224 --mag 10 --json --format none
json '.target_mpp == 1 and .resample > 0 and .box_l0 == 448 and .tile_px == 224'
expect 0 tiles "$svs" -o "$work/t3" --tile-px 200 --tile-um 200 --json --format none
json '.target_mpp == 1 and .box_l0 == 400'
that test "$(count "$work/t3" '*.jpg')" = 0

# Overlap in pixels and in percent is the same overlap.
expect 0 tiles "$svs" -o "$work/t4" --overlap 64 --json --format none
json '.overlap == 0.25 and .step_l0 == 192'
sum=$(jq -r .plan_digest "$work/.out")
expect 0 tiles "$svs" -o "$work/t4" --overlap 25% --json --format none
json ".plan_digest == \"$sum\""

# Whole slide: a grid without a mask; its edge padded or dropped.
expect 0 tiles "$svs" -o "$work/t5" --whole-slide --json --stats
json '.n_tiles == 12 * 8 and .stats.native_needed == .stats.native_decoded and .stats.native_needed == 13 * 9'
expect 0 tiles "$svs" -o "$work/t5" --whole-slide --edge drop --json --format none
json '.n_tiles == 11 * 7'

# A region of interest.
printf '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[1024,0],[1024,512],[0,512],[0,0]]]},"properties":{}}' >"$work/roi.geojson"
expect 0 tiles "$svs" -o "$work/t6" --whole-slide --roi "$work/roi.geojson" --json --format none
json '.n_tiles == 8'
printf '{"type":"Feature"' >"$work/bad.geojson"
expect 1 tiles "$svs" -o "$work/t6" --whole-slide --roi "$work/bad.geojson" --format none
says 'bad.geojson'

# PNG and HDF5.
expect 0 tiles "$svs" -o "$work/t7" --min-tissue 0.9 --format png
that test "$(count "$work/t7/a" '*.png')" -gt 0
expect 0 tiles "$svs" -o "$work/t8" --format h5 --json
h5=$(find "$work/t8" -name '*.h5')
exists "$h5"
if command -v h5dump >/dev/null; then
    that grep -qE "\( $(jq .n_tiles "$work/.out"), 2 \)" <(h5dump -H -d coords "$h5")
fi

# Two slides of one name, and one bad among the good.
mkdir "$work/other"
slide other/a.svs --size 1000x900 --seed 10
printf 'no slide' >"$work/bad.svs"
expect 1 tiles "$svs" "$work/bad.svs" "$work/other/a.svs" -o "$work/t9"
says 'slide 2 of 3'
that test "$(find "$work/t9" -mindepth 1 -maxdepth 1 -name 'a~????????' | wc -l)" = 2
that test "$(grep -c '^written' "$work/.out")" = 2

# Finer than 2.1 times the slide: refused, unless asked for.
expect 1 tiles "$svs" -o "$work/t10" --mpp 0.2 --format none
says 'upsampl|coarse|2\.1'
expect 0 tiles "$svs" -o "$work/t10" --mpp 0.2 --allow-upsampling --format none --roi "$work/roi.geojson"
prints 'UPSAMPLED'

# No spacing.
slide n.svs --size 1200x1000 --no-mpp
expect 1 tiles "$REPLY" -o "$work/t11"
silent out
says 'aperio\.MPP|MPP' 'assume-mpp'
expect 0 tiles "$REPLY" -o "$work/t11" --assume-mpp 0.25 --mpp 0.5 --json --format none
json '.slide_mpp == 0.25 and .mpp_source == "assumed" and .box_l0 == 512'

# A folder that cannot be made.
: >"$work/file"
expect 1 tiles "$svs" -o "$work/file/x"
says 'file'

# What fast scaling did is told, in text and in JSON.
slide fast.svs --size 1600x1200 --seed 6
expect 0 tiles "$REPLY" -o "$work/fast" --mpp 1 --tile-px 128 --json
json '.fast_scaling == null and .reduced_by == 1 and .warnings == []'
expect 0 tiles "$REPLY" -o "$work/fast" --mpp 1 --tile-px 128 --fast-scaling --json
json '.fast_scaling == "samples" and .reduced_by == 1'
expect 0 tiles "$REPLY" -o "$work/fast" --mpp 1 --tile-px 128 --fast-scaling
prints '^scaling +fast: samples'
expect 0 tiles "$REPLY" -o "$work/fast" --mpp 0.3 --tile-px 128 --fast-scaling --json
json '.fast_scaling == "exact" and (.warnings | any(test("^upsampled 1.67 times")))'
finish
