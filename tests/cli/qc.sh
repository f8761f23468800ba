#!/usr/bin/env bash
# microtome qc, and quality control in a run: verdicts, files, limits, exclusions, rejected slides.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

slide a.svs --size 4096x3072 --seed 5 --pen-colour red --blur
svs=$REPLY

# Figures and verdict; a warning is an answer.
expect 0 qc "$svs"
silent err
prints '^verdict +(warn|reject): ' '^sharpness +median 0\.[0-9]+' '^pen +[0-9.]+ % of the tissue' '^focus +'
expect 0 qc "$svs" --json -o "$work/out" --threads 2
json '.[0] | .verdict != "pass" and .artefacts.pen.share > 0.02 and .artefacts.fold.share < 0.02'
json '.[0].sharpness | .p05 < 0.25 and .p95 > 0.35 and .mpp == 1'
json '.[0] | .tissue_mm2 > .usable_mm2 and (.largest_pieces_mm2 | length) == ([.pieces, 8] | min)'
cp "$work/.out" "$work/two"
expect 0 qc "$svs" --json --threads 1
that cmp -s "$work/.out" "$work/two" # any number of threads
for name in a-qc.png a-qc-mask.png; do
    that test "$(head -c 8 "$work/out/$name" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a
done
json '.slide == "a.svs" and .verdict != "pass"' "$work/out/a-qc.json"

# A clean slide passes; several slides, one of them none: the others go on.
slide clean.svs --size 3072x2048 --seed 3
clean=$REPLY
echo nonsense >"$work/bad.svs"
expect 1 qc "$clean" "$work/bad.svs" --json
json 'length == 1 and .[0].verdict == "pass" and .[0].reason == null'
says 'no known slide format'

# Slides of one name do not take each other's files; a folder's name is its own, slash or not.
mkdir -p "$work/x" "$work/y"
cp "$clean" "$work/x/same.svs"
cp "$svs" "$work/y/same.svs"
expect 0 qc "$work/x/same.svs" "$work/y/same.svs" -o "$work/both"
that test "$(find "$work/both" -name 'same~????????-qc.json' | wc -l)" = 2
that test "$(find "$work/both" -name '*.tmp' | wc -l)" = 0
if data dicom-wsi/cmu-1-small-region; then
    expect 0 qc "$REPLY/" -o "$work/dicom"
    that test -s "$work/dicom/cmu-1-small-region-qc.json"
fi

# Limits from a file; what it does not know is refused before a slide is opened.
echo '{"schema": "microtome.qc", "schema_version": 1, "gate": {"pen": {"warn": 0.001, "reject": 0.01}}}' >"$work/strict.json"
expect 0 qc "$svs" --qc-config "$work/strict.json"
prints '^verdict +reject: .*under ink \(limit 1 %\)'
echo '{"schema": "microtome.qc", "schema_version": 1, "gate": {"ink": {}}}' >"$work/wrong.json"
expect 1 qc "$svs" --qc-config "$work/wrong.json"
silent out
says 'gate: unknown member'
expect 1 qc "$svs" --qc-config "$work/none.json"
expect 2 qc

# A run warns and goes on.
expect 0 run "$svs" "$clean" -o "$work/r" --model demo-tumor --json
json '[.slides[].state] == ["done", "done"]'
json '.slides[0].warnings | any(test("^quality"))'
json '.quality.verdict == "warn" and .quality.share.pen.value > 0.02 and .quality.share.pen.reject == 0.5' "$work/r/a/result.json"
json '.quality.verdict == "pass" and .quality.excluded_from_grade == []' "$work/r/clean/result.json"
json '.slides[] | select(.slide == "a") | .quality == "warn" and .quality_picture == "a/qc.png" and .sharpness > 0.2' "$work/r/report.json"
that grep -q 'a/qc.png' "$work/r/report.html"
that test -s "$work/r/a/qc.png"
planned=$(jq .grade.tiles.done "$work/r/a/result.json")
flagged=$(jq '.quality.flagged_tiles.focus' "$work/r/a/result.json")
that test "$flagged" -gt 0

# Left out of the grade, scored and stored all the same; other limits, another result.
expect 0 run "$svs" -o "$work/r" --model demo-tumor --qc-exclude focus,pen --json
json '.slides[0].resumed | not'
json ".grade.tiles.excluded_by_qc >= $flagged and .grade.tiles.done + .grade.tiles.excluded_by_qc == $planned" "$work/r/a/result.json"
json '.quality.excluded_from_grade == ["focus", "pen"]' "$work/r/a/result.json"
json '.warnings | any(test("^[0-9]+ of [0-9]+ tiles .*left out of the grade"))' "$work/r/a/result.json"
that test "$(wc -l <"$work/r/model-outputs-csv/a.csv")" = $(($(jq .grade.tiles.done "$work/r/a/result.json") + 1))
expect 0 run "$svs" -o "$work/r" --model demo-tumor --qc-exclude focus,pen --json
json '.slides[0].resumed'

# With quality control off the folder keeps no picture of an earlier run.
expect 0 run "$svs" -o "$work/r" --model demo-tumor --qc off
that test ! -e "$work/r/a/qc.png"

# Set aside: its own state and reason, an explicit "not analysed", the picture; the other slide is done.
expect 0 run "$svs" "$clean" -o "$work/s" --model demo-tumor --qc reject --qc-config "$work/strict.json" --json
json '[.slides[].state] == ["rejected-qc", "done"] and .summary.rejected == 1'
json '.slides[0].reason | test("^rejected by quality control: .*under ink")'
json '.status == "not analysed" and .grade.graded == false and .quality.verdict == "reject"' "$work/s/a/result.json"
json '.slides[0].state == "rejected-qc" and .slides[0].quality_picture == "a/qc.png"' "$work/s/report.json"
# A grade of an earlier run gives way to it: report and folder say the same.
expect 0 run "$svs" -o "$work/r" --model demo-tumor --qc reject --qc-config "$work/strict.json"
json '.status == "not analysed" and .grade.graded == false' "$work/r/a/result.json"
that test ! -e "$work/r/a/heatmap.png" -a ! -e "$work/r/model-outputs-csv/a.csv" -a -s "$work/r/a/qc.png"
that test -s "$work/s/a/qc.png"
that test ! -e "$work/s/a/tiles.h5"
that test ! -e "$work/s/a/tiles.journal"
that test ! -e "$work/s/model-outputs-csv/a.csv"

# A rerun does not look again: same row, not a byte written. Other options or another file: it does.
reject=(run "$svs" -o "$work/s" --model demo-tumor --qc reject --json)
cp -p "$work/s/a/result.json" "$work/kept"
expect 0 "${reject[@]}" --qc-config "$work/strict.json"
json '.slides[0] | .state == "rejected-qc" and .resumed and (.reason | test("^rejected by quality control: .*under ink")) and .tissue_mm2 > 0'
json '.summary | .rejected == 1 and .resumed == 1 and .done == 0'
json '.slides[0] | .quality == "reject" and .quality_picture == "a/qc.png" and .sharpness > 0.2' "$work/s/report.json"
that cmp -s "$work/kept" "$work/s/a/result.json"
that test ! "$work/s/a/result.json" -nt "$work/kept"
that test ! -e "$work/s/a/tiles.journal"
expect 0 "${reject[@]}" --qc-config "$work/strict.json" --force
json '.slides[0] | .state == "rejected-qc" and (.resumed | not)'
sed 's/0.01/0.012/' "$work/strict.json" >"$work/strict2.json"
expect 0 "${reject[@]}" --qc-config "$work/strict2.json"
json '.slides[0] | .state == "rejected-qc" and (.resumed | not)'
expect 0 "${reject[@]}"
json '.slides[0] | .state == "done" and (.resumed | not)'
expect 0 "${reject[@]}" --qc-config "$work/strict2.json"
mkdir "$work/again"
cp "$svs" "$work/again/a.svs"
printf x >>"$work/again/a.svs"
expect 0 run "$work/again/a.svs" -o "$work/s" --model demo-tumor --qc reject --qc-config "$work/strict2.json" --json
json '.slides[0] | .state == "rejected-qc" and (.resumed | not)'

# What an interrupted run has paid for outlives a rejection and its rerun.
mkdir -p "$work/j/a"
printf 'records of an interrupted run' >"$work/j/a/tiles.journal"
cp "$work/j/a/tiles.journal" "$work/journal"
for again in false true; do
    expect 0 run "$svs" -o "$work/j" --model demo-tumor --qc reject --qc-config "$work/strict.json" --json
    json ".slides[0] | .state == \"rejected-qc\" and .resumed == $again"
    that cmp -s "$work/journal" "$work/j/a/tiles.journal"
done

# Off: nothing is looked at, nothing is said; limits would have no use.
expect 0 run "$clean" -o "$work/o" --model demo-tumor --qc off --json
json '.quality == null' "$work/o/clean/result.json"
that test ! -e "$work/o/clean/qc.png"
expect 2 run "$clean" -o "$work/o" --model demo-tumor --qc off --qc-exclude pen
expect 2 run "$clean" -o "$work/o" --model demo-tumor --qc-exclude ink
says '"ink" is no artefact'

# Real sections in focus pass.
if data slides/CMU-1-Small-Region.svs; then
    expect 0 qc "$REPLY" --json
    json '.[0].verdict == "pass" and .[0].sharpness.p50 > 0.4'
fi
finish
