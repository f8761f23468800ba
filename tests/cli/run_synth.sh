#!/usr/bin/env bash
# The main job on drawn slides: results, agreement with the exact truth, many slides, reruns, stops.
# shellcheck disable=SC2317 source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

options=(--size 4096x3072 --seed 21 --tumour 0.3)
slide in/a.svs "${options[@]}"
svs=$REPLY
model=(--model demo-tumor)

# Files of two result folders but for what holds times.
same_results() {
    local x
    for x in "$1" "$2"; do
        (cd "$x" && find . -type f ! -name 'report.*' ! -name result.json | sort | xargs sha256sum
            find . -name result.json | sort | xargs -n 1 jq -S 'del(.run)') >"$x.sums"
    done
    diff "$1.sums" "$2.sums" >"$work/diff" && test -s "$1.sums"
}

# One slide. stdout has the result, stderr no name of the file, for it may be a log.
expect 0 run "$svs" -o "$work/r1" "${model[@]}" --threads 1
prints '^slide +a$' '^state +done$' '^score +[01]\.[0-9]{4}, (positive|negative)' '^areas .*[Tt]umour [0-9.]+ mm2' \
    '^coverage +[0-9.]+ % of [0-9.]+ mm2 tissue$' "^result +$work/r1/a/result.json$" "^heatmap +$work/r1/a/heatmap"
says '^1/1 s-[0-9a-f]{16}: done in ' '^1 slide: 1 done, ' 'state research'
not_says '\ba\.svs' $'\r' $'\033'
exists "$work"/r1/a/{result.json,tiles.h5,heatmap.tif,heatmap.png} "$work"/r1/report.{json,html} \
    "$work/r1/model-outputs-csv/a.csv" "$work/r1/model-outputs-geojson/a.geojson"
json '.grade.graded and .model.name == "demo-tumor" and .scope.state == "in scope" and .slide.synthetic' "$work/r1/a/result.json"
json '.type == "FeatureCollection" and (.features | length) > 10' "$work/r1/model-outputs-geojson/a.geojson"
json 'tostring | test("done")' "$work/r1/report.json"
that test "$(head -c 100 "$work/r1/model-outputs-csv/a.csv" | head -n 1 | cut -d, -f1-4)" = minx,miny,width,height

# It is right: the truth of the slide is known.
expect 0 synth --check "$work/r1/model-outputs-csv/a.csv" "${options[@]}" --json
json '.auc > 0.95 and .dice_area > 0.6 and .tiles > 50'

# Threads, batch and memory change nothing.
expect 0 run "$svs" -o "$work/r2" "${model[@]}" --num-workers 3 --batch-size 5 --memory 300M --stats
prints 'decoded \(1\.0000 times each\)'
that same_results "$work/r1" "$work/r2"

# Again: found complete, the same words; --force does it again.
expect 0 run "$svs" -o "$work/r2" "${model[@]}" --json
json '.summary.resumed == 1 and .summary.done == 1 and .slides[0].resumed and .slides[0].graded and (.slides[0].grade.classes | length) > 1'
says 'done by an earlier run'
expect 0 run "$svs" -o "$work/r2" "${model[@]}" --force --json
json '.summary.resumed == 0 and .slides[0].resumed == false'
that same_results "$work/r1" "$work/r2"

# Stopped in the middle and started again: the same bytes.
"$MICROTOME" run "$svs" -o "$work/r3" "${model[@]}" --threads 1 --batch 1 >"$work/.out" 2>"$work/.err" &
pid=$!
appears "$work/r3" '*journal*'
kill -INT $pid 2>/dev/null
wait $pid
code=$?
last=('microtome run, stopped')
looks=$((looks + 1))
[[ $code == 1 || $code == 0 ]] || complain "exit $code after SIGINT"
[[ $code == 0 ]] || says 'stopped; the same command goes on'
expect 0 run "$svs" -o "$work/r3" "${model[@]}"
that same_results "$work/r1" "$work/r3"

# Many slides: a bad one, an empty one, one without spacing, two of one name.
mkdir -p "$work/in/sub"
slide in/sub/a.svs --size 1500x1200 --seed 22
slide in/b.tif --size 1500x1200 --seed 23 --tumour 0
slide in/nospacing.svs --size 1200x1000 --seed 24 --no-mpp
head -c 20000 "$svs" >"$work/in/cut.svs"
expect 1 run "$work/in/cut.svs" "$svs" "$work/in/sub/a.svs" "$work/in/b.tif" "$work/in/nospacing.svs" -o "$work/r4" "${model[@]}" --json
json '.summary.slides == 5 and .summary.failed == 2 and .summary.done == 3'
json '[.slides[] | select(.state == "failed")] | length == 2 and all(.reason | length > 0)'
json '[.slides[] | select(.state == "failed" and (.reason | test("MPP.*; --assume-mpp F states it$")))] | length == 1'
json '[.slides[].slide | select(test("^a~[0-9a-f]{8}$"))] | length == 2'
says 'failed: '
not_says 'cut\.svs' 'nospacing'
json 'tostring | test("failed") and test("done")' "$work/r4/report.json"
that test "$(count "$work/r4/model-outputs-csv" '*.csv')" = 3
# A slide that was not analysed says so where its result would have been.
that test "$(find "$work/r4" -name result.json -exec jq -r .status {} + | grep -c '^not analysed')" -ge 1

# A list, a folder, the words of WSInfer, pseudonyms, a further export.
printf 'wsi,mpp\n%s,\n%s,0.5\n' "$work/in/b.tif" "$work/in/nospacing.svs" >"$work/list.csv"
expect 0 run "$work/list.csv" -o "$work/r5" "${model[@]}" --json
json '.summary.done == 2 and .summary.failed == 0'
mkdir "$work/dir"
cp "$work/in/b.tif" "$work/dir/JANE_DOE.tif"
expect 0 run --wsi-dir "$work/dir" --results-dir "$work/r6" "${model[@]}" --pseudonyms --export geojson.gz
not_prints 'JANE'
not_says 'JANE'
that test -z "$(grep -rl JANE "$work/r6")"
that test "$(find "$work/r6" -name '*JANE*' | wc -l)" = 0
that test "$(find "$work/r6" -name 's-*.geojson.gz' | wc -l)" = 1
that gzip -t "$(find "$work/r6" -name '*.geojson.gz')"

# Overlap in pixels of the card's tile or as a share; a region; another top-k.
patch=$("$MICROTOME" models show demo-tumor --json | jq .patch_px)
expect 0 run "$work/in/b.tif" -o "$work/r7" "${model[@]}" --overlap $((patch / 2)) --topk 3
json '.plan.overlap == 0.5 and .grade.topk_k == 3' "$work/r7/b/result.json"
expect 2 run "$work/in/b.tif" -o "$work/r7" "${model[@]}" --overlap "$patch"
says 'leave no step'

# The reference kernels agree.
expect 0 run "$work/in/b.tif" -o "$work/r8" "${model[@]}" --cpu ref --json
json '.slides[0].graded' "$work/.out"
json '.provenance.kernel_set == "ref"' "$work/r8/b/result.json"
expect 0 run "$work/in/b.tif" -o "$work/r9" "${model[@]}"
that test "$(jq -s '(.[0].grade.score - .[1].grade.score | fabs) < 0.001' "$work/r8/b/result.json" "$work/r9/b/result.json")" = true

# Glass alone is "empty", which is no failure and no negative.
if slide in/glass.tif --size 600x600 --seed 25 --tumour 0; then
    printf '{"type":"Polygon","coordinates":[[[-90,-90],[-80,-90],[-80,-80],[-90,-90]]]}' >"$work/nowhere.geojson"
    expect 0 run "$REPLY" -o "$work/r10" "${model[@]}" --roi "$work/nowhere.geojson" --json
    json '.summary.empty == 1 and .slides[0].state == "empty" and (.slides[0].graded | not)'
fi

# What cannot work says so before a slide is touched.
: >"$work/file"
expect 1 run "$svs" -o "$work/file/out" "${model[@]}"
says 'file'
silent out
expect 1 run "$svs" -o "$work/r11" --model no-such-model
says 'no-such-model'
expect 1 run "$work/none.svs" -o "$work/r11" "${model[@]}"
expect 2 run "$svs" -o "$work/r11" "${model[@]}" --export nonsense
says 'nonsense'

# A result folder that another process works in is worth a retry: 75.
mkdir -p "$work/r12"
"$MICROTOME" run "$svs" -o "$work/r12" "${model[@]}" --threads 1 --batch 1 --cpu ref >"$work/bg" 2>&1 &
pid=$!
appears "$work/r12" '*journal*'
if kill -STOP $pid 2>/dev/null; then
    expect 75 run "$svs" -o "$work/r12" "${model[@]}"
    kill -CONT $pid
    kill -TERM $pid
fi
wait $pid

# On a terminal: progress with a rate and the name of the file. A container may have no terminals.
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    last=('microtome run on a terminal')
    script -qec "'$MICROTOME' run '$svs' -o '$work/r13' --model demo-tumor" "$work/typescript" >"$work/.out" 2>&1 </dev/null
    prints 'tiles  .*/s .* left' 'a\.svs'
fi

# Fast scaling only when allowed; then said so, under another key. At 2, 4 and 8 times coarser than the only
# level no tile's score moves by more than 0.02, and some score moves. For that the slide loses its pyramid:
# nothing follows its first picture.
expect 0 synth -o "$work/fine.svs" --size 4096x3072 --mpp 0.25 --no-mpp --seed 5 --quality 75
at=$(od -An -tu4 -j4 -N4 "$work/fine.svs")
n=$(od -An -tu2 -j"$((at))" -N2 "$work/fine.svs")
printf '\0\0\0\0' | dd of="$work/fine.svs" bs=1 seek=$((at + 2 + 12 * n)) conv=notrunc status=none
for mpp in 0.5 0.25 0.125; do
    for way in exact fast; do
        fast=()
        [[ $way == exact ]] || fast=(--fast-scaling)
        rm -rf "${work:?}/$way"
        expect 0 run "$work/fine.svs" -o "$work/$way" "${model[@]}" --assume-mpp $mpp --overlap 50% \
            "${fast[@]}"
    done
    json ".fast_scaling == {way: \"samples\", reduced_by: $([[ $mpp == 0.125 ]] && echo 2 || echo 1)}" "$work/fast/fine/result.json"
    json 'has("fast_scaling") | not' "$work/exact/fine/result.json"
    [[ $(jq -r .key "$work/fast/fine/result.json") != $(jq -r .key "$work/exact/fine/result.json") ]] || complain 'one key for both'
    paste -d, "$work"/{exact,fast}/model-outputs-csv/fine.csv | awk -F, -v mpp=$mpp 'NR > 1 {
        for (i = 5; i <= NF / 2; i++) {
            d = $i - $(i + NF / 2); d = d < 0 ? -d : d; sum += d; n++; if (d > most) most = d } }
        END { printf "%s um/px: %d scores, largest difference %g, mean %g\n", mpp, n, most, sum / n
              exit !(n >= 20 && most > 0 && most <= 0.02) }' || complain 'fast and exact scores differ by more than 0.02, or not at all'
done

# A stem that is a word of the reason leaves the sentence alone; a pipe is refused, not waited for.
: >"$work/empty.svs"
mkfifo "$work/pipe.svs"
expect 1 run "$work/empty.svs" "$work/pipe.svs" -o "$work/r14" "${model[@]}"
prints 'the file is empty' 'not a regular file'
finish
