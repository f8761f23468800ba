#!/usr/bin/env bash
# Stains measured, normalised and taken apart; masks from elsewhere; tiles that will not decode.
# shellcheck disable=SC2317 source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

slide a.svs --size 3000x2400 --seed 31 --tumour 0.3
a=$REPLY
slide b.svs --size 2400x2000 --seed 32
b=$REPLY

# Measured: the same for any number of threads, as text, JSON and a target.
expect 0 stain "$a"
silent err
prints '^hematoxylin 0\.[0-9]{4} .* strength [0-9.]+ \([0-9.]+ degrees from hematoxylin\)' '^eosin ' '^angle ' '^reinhard ' '^samples +[0-9]+ tiles at 1 um/px'
expect 0 stain "$a" --json --threads 3 -o "$work/a.json"
json '.fault == null and .warning == null and .hematoxylin.nearest == "hematoxylin" and .hematoxylin.degrees < 12 and .angle_deg > 15 and .stained <= .pixels'
expect 0 stain "$a" --threads 1 -o "$work/a1.json"
that cmp -s "$work/a.json" "$work/a1.json"
json '.format == "microtome-stain" and (.macenko.hematoxylin | length) == 3 and (.reinhard.std | length) == 3' "$work/a.json"

# A slide brought to its own target keeps its colours (but for JPEG's rounding of what lies beside the
# two stains); brought to another it does not; both on any threads.
tiles() { expect 0 tiles "$a" -o "$work/$1" --format png --tile-px 200 --min-tissue 0.6 "${@:2}"; }
tiles t0
tiles t1 --stain-normalise macenko:"$work/a.json" --threads 1
tiles t2 --stain-normalise macenko --threads 3
tiles t3 --stain-normalise macenko --threads 1 --memory 8M
tiles t4 --stain-normalise reinhard
tiles t5 --channel hematoxylin
tiles t6 --channel eosin --stain-vectors measured
tiles t7 --channel dab
that diff -rq "$work/t2" "$work/t3"
for t in t1 t2 t4 t5 t6 t7; do
    that not diff -rq "$work/t0" "$work/$t" >/dev/null
    that test "$(count "$work/$t" '*.png')" = "$(count "$work/t0" '*.png')"
    that cmp -s "$work/t0/a/tiles.csv" "$work/$t/a/tiles.csv"
done
one=$(find "$work/t5/a" -name '*.png' | sort | head -n 1)
that test "$(od -An -tu1 -j25 -N1 "$one" | tr -d ' ')" = 0 # colour type grey
one=$(find "$work/t2/a" -name '*.png' | sort | head -n 1)
that test "$(od -An -tu1 -j25 -N1 "$one" | tr -d ' ')" = 2 # colour type RGB

# A region in which the stains are much alike, and a slide that has none: said in plain words.
if data slides/OS-1-detail.ome.tif; then
    expect 0 stain "$REPLY"
    prints '^warning +both stains found are nearest to hematoxylin'
    expect 0 run "$REPLY" -o "$work/os" --model demo-tumor --allow-out-of-scope test --stain-normalise macenko --json
    json '.slides[0].warnings | any(test("^stain: both stains found are nearest"))'
    that grep -q 'stain: both stains found' "$work/os/OS-1-detail.ome/result.json"
    json '.slides[0].warnings >= 3' "$work/os/report.json"
    expect 0 tiles "$REPLY" -o "$work/os-t" --stain-normalise macenko --json
    json '.stain_applied and (.warnings | any(test("^stain: both")))'
fi
if data slides/test3-DAPI-2-387.ndpi; then
    expect 1 stain "$REPLY"
    says 'a fluorescence picture has no absorbing stains'
    expect 1 run "$REPLY" -o "$work/dapi" --model demo-tumor --allow-out-of-scope test --stain-normalise macenko
    json '.slides[0].reason | test("a fluorescence picture has no absorbing stains")' "$work/dapi/report.json"
fi

# Slips of the command line: an option that means nothing is an error and no silence.
none() {
    expect 2 tiles "$a" -o "$work/x" "${@:2}"
    silent out
    says "^microtome tiles: --$1"
}
none h5-style --h5-style clam
none h5-style --format webdataset --h5-style trident
none stain-fallback --stain-fallback none
none stain-fallback --stain-fallback fail --stain-normalise none
none fast-scaling --fast-scaling --format none
none fast-scaling --fast-scaling --format coords
none strict --strict --format coords
none quality --quality 80 --format png
none shard-tiles --shard-tiles 10
none channel --channel eosin --format none
none stain-normalise --stain-normalise macenko --format coords
expect 2 run "$a" -o "$work/x" --model demo-tumor --stain-normalise none --stain-fallback none
says '--stain-fallback: nothing is normalised'
that test ! -e "$work/x"
expect 2 tiles "$a" -o "$work/x" --stain-normalise vahadane
says 'vahadane'
expect 2 tiles "$a" -o "$work/x" --channel eosin --stain-vectors hdab
says 'no eosin channel'
expect 2 tiles "$a" -o "$work/x" --channel eosin --stain-normalise macenko
expect 2 tiles "$a" -o "$work/x" --stain-vectors he
expect 2 tiles "$a" -o "$work/x" --whole-slide --stain-normalise macenko
expect 2 tiles "$a" -o "$work/x" --format none --strict
expect 1 tiles "$a" -o "$work/x" --stain-normalise macenko:"$work/none.json"
printf '{"format":"microtome-stain","version":1,"reinhard":{"mean":[8,0,0],"std":[0,1,1]}}' >"$work/bad.json"
expect 1 tiles "$a" -o "$work/x" --stain-normalise macenko:"$work/bad.json"
says 'std\[0\] is no number'
that test ! -e "$work/x"

# run: recorded; another target, another result; the same, the same.
expect 0 run "$a" -o "$work/r" --model demo-tumor --stain-normalise macenko --threads 1
json '.provenance.stain_normalisation | .method == "macenko" and .applied and .target_source == "default" and .measured.pixels > 10000' "$work/r/a/result.json"
jq -S 'del(.run)' "$work/r/a/result.json" >"$work/first"
expect 0 run "$a" -o "$work/r" --model demo-tumor --stain-normalise macenko --json
json '.summary.resumed == 1'
expect 0 run "$a" -o "$work/r" --model demo-tumor --stain-normalise macenko --force --threads 3 --json
json '.summary.resumed == 0'
jq -S 'del(.run)' "$work/r/a/result.json" >"$work/second"
that cmp -s "$work/first" "$work/second"
expect 0 run "$a" -o "$work/r" --model demo-tumor --json
json '.summary.resumed == 0'
json '.provenance.stain_normalisation == null' "$work/r/a/result.json"
that test "$(jq .grade.score "$work/first")" != "$(jq .grade.score "$work/r/a/result.json")"
expect 0 run "$a" -o "$work/r" --model demo-tumor --stain-normalise macenko:"$work/a.json" --json
json '.summary.resumed == 0'
json '.provenance.stain_normalisation | .target_source == "given" and .measured.hematoxylin == .target.hematoxylin' "$work/r/a/result.json"

# A card that asks for it is obeyed, --stain-normalise none overrides.
if [[ -e $MT_SOURCE_DIR/tests/fault/model/model.onnx ]]; then
    mkdir "$work/model"
    cp "$MT_SOURCE_DIR/tests/fault/model/model.onnx" "$work/model"
    jq --slurpfile t "$work/a.json" '.engine.normalise_stain = {method: "reinhard", target: $t[0]}' \
        "$MT_SOURCE_DIR/tests/fault/model/config.json" >"$work/model/config.json"
    expect 0 run "$b" -o "$work/rc" --model "$work/model"
    json '.provenance.stain_normalisation | .method == "reinhard" and .applied and .target_source == "given"' "$work/rc/b/result.json"
    expect 0 run "$b" -o "$work/rc" --model "$work/model" --stain-normalise none
    json '.provenance.stain_normalisation == null' "$work/rc/b/result.json"
    jq '.engine.normalise_stain.target.reinhard.std = [0, 1, 1]' "$work/model/config.json" >"$work/c" && mv "$work/c" "$work/model/config.json"
    expect 1 run "$b" -o "$work/rc" --model "$work/model"
    says "card's normalise_stain.target: std"
    # A model of task tissue scores no tiles.
    jq 'del(.spacing_um_px) | .engine.task = "tissue" | .engine.normalise_stain = false' "$MT_SOURCE_DIR/tests/fault/model/config.json" >"$work/model/config.json"
    expect 1 tissue "$b" -o "$work/m.png" --tissue "$work/model/model.onnx"
    says 'gives no map'
fi

# Too little tissue for a measure: fails, or runs as it is and says so.
slide tiny.svs --size 420x400 --seed 33
expect 1 run "$REPLY" -o "$work/rt" --model demo-tumor --stain-normalise macenko --min-tissue 0
says 'stain normalisation \(macenko\): the stain cannot be measured: .*; --stain-fallback none'
expect 0 run "$REPLY" -o "$work/rt" --model demo-tumor --stain-normalise macenko --min-tissue 0 --stain-fallback none
prints 'warning +stain not normalised: the stain cannot be measured'
json '.provenance.stain_normalisation | (.applied | not) and (.reason | test("cannot be measured"))' "$work/rt/tiny/result.json"
expect 1 stain "$REPLY"
says 'the stain cannot be measured'

# Masks: our own read back is the mask itself; a drawn one decides what is scored; folders of them.
expect 0 tissue "$a" -o "$work/m.png" --geojson "$work/m.geojson" --json
area=$(jq .tissue_mm2 "$work/.out")
for m in m.png m.geojson; do
    expect 0 tissue "$a" --tissue "$work/$m" -o "$work/again.png" --json
    json ".tissue_mm2 == $area and .threshold_od == null"
    that cmp -s "$work/m.png" "$work/again.png"
done
printf '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"classification":{"name":"Tissue"}},"geometry":{"type":"Polygon","coordinates":[[[1000,800],[2000,800],[2000,1600],[1000,1600],[1000,800]],[[1400,1100],[1600,1100],[1600,1300],[1400,1300],[1400,1100]]]}}]}' >"$work/drawn.geojson"
expect 0 run "$a" -o "$work/rm" --model demo-tumor --tissue "$work/drawn.geojson"
json '.tissue | .source == "geojson" and (.sha256 | length) == 64 and .threshold == null and .tissue_mm2 > 0.18 and .tissue_mm2 < 0.2' "$work/rm/a/result.json"
expect 0 run "$a" -o "$work/rm" --model demo-tumor --tissue "$work/drawn.geojson" --json
json '.summary.resumed == 1'
expect 0 run "$a" -o "$work/rm" --model demo-tumor --json
json '.summary.resumed == 0'
json '.tissue.source == "detected"' "$work/rm/a/result.json"
expect 0 tiles "$a" -o "$work/tm" --tissue "$work/drawn.geojson" --tile-px 100 --format none --json
json '.tissue_source == "geojson" and .n_tiles > 60 and .n_tiles < 100'
mkdir "$work/masks"
cp "$work/drawn.geojson" "$work/masks/a.geojson"
expect 1 run "$a" "$b" -o "$work/rf" --model demo-tumor --tissue "$work/masks" --json
json '.summary.done == 1 and .summary.failed == 1'
json '[.slides[] | select(.state == "failed")][0].reason | test("tissue masks has none for this slide")'
cp "$work/m.png" "$work/masks/b_mask_use.png"
expect 1 run "$b" -o "$work/rf" --model demo-tumor --tissue "$work/masks"
says 'does not have the shape of the slide'
expect 1 tissue "$a" -o "$work/m2.png" --tissue "$work/nowhere.png"
expect 1 tissue "$a" -o "$work/m2.png" --tissue "$a"
says 'tissue mask: neither GeoJSON nor PNG'
expect 1 tissue "$a" -o "$work/m2.png" --tissue model:demo-tumor
says 'a tissue mask needs tissue'
that test ! -e "$work/m2.png"

# The real U-Net.
if data onnx/models/tissue-unet-best_unet.onnx; then
    mkdir "$work/unet"
    cp "$REPLY" "$work/unet/model.onnx"
    printf '{"architecture":"unet","num_classes":1,"class_names":["Tissue"],"patch_size_pixels":500,"engine":{"name":"tissue-unet","version":"1","task":"tissue","input":{"layout":"NHWC"},"outputs":[{"activation":"none"}],"thresholds":[{"name":"default","value":0.6}]}}' >"$work/unet/config.json"
    expect 0 tissue "$a" --tissue "$work/unet/model.onnx" -o "$work/u.png" --json
    json ".source == \"model\" and (.tissue_mm2 / $area) > 0.85 and (.tissue_mm2 / $area) < 1.1"
    expect 0 run "$a" -o "$work/ru" --model demo-tumor --tissue "$work/unet/model.onnx"
    json '.tissue | .source == "model" and .model == "tissue-unet 1" and .threshold == 0.6' "$work/ru/a/result.json"
    expect 1 run "$a" -o "$work/ru" --model "$work/unet/model.onnx"
    says 'its task is tissue'
fi

# Quality control and stains of the tissue that was drawn.
expect 0 qc "$a" --json
json '.[0].tissue_source == "detected"'
whole=$(jq '.[0].tissue_mm2' "$work/.out")
printf '{"type":"Polygon","coordinates":[[[600,600],[1400,600],[1400,1400],[600,1400],[600,600]]]}' >"$work/part.geojson"
expect 0 qc "$a" --tissue "$work/part.geojson" --json
json ".[0] | .tissue_source == \"geojson\" and .tissue_mm2 < $whole / 2 and .tissue_mm2 > 0"
expect 0 qc "$a" --tissue "$work/part.geojson"
prints '^tissue .*\(geojson\)'
mkdir -p "$work/parts"
cp "$work/part.geojson" "$work/parts/a.geojson"
expect 1 qc "$a" "$b" --tissue "$work/parts" --json # b has no mask
json 'length == 1 and .[0].tissue_source == "geojson"'
expect 1 qc "$a" --tissue "$work/none.png"
expect 0 stain "$a" --tissue "$work/part.geojson" --json
json '.fault == null and .tiles >= 1'

# A mask that is given is all that is looked at: nothing is decoded to find tissue. A native tile of zeros
# outside of it is met by detection and by nothing else.
slide one.svs --size 1200x1000 --seed 34
one=$REPLY
word() { od -An -tu"$2" -j"$3" -N"$2" "$1" | tr -d ' '; }
dir=$(word "$one" 4 4) first=0 sizes=0
while ((dir)); do # the last directory with tiles is the coarse level that tissue is looked for on
    n=$(word "$one" 2 "$dir")
    for ((i = 0; i < n; i++)); do
        at=$((dir + 2 + 12 * i))
        [[ $(word "$one" 2 $at) == 324 ]] && first=$(word "$one" 4 $((at + 8)))
        [[ $(word "$one" 2 $at) == 325 ]] && sizes=$(word "$one" 4 $((at + 8)))
    done
    dir=$(word "$one" 4 $((dir + 2 + 12 * n)))
done
cp "$one" "$work/hole.svs"
dd if=/dev/zero of="$work/hole.svs" bs=1 seek="$(word "$one" 4 "$first")" count="$(word "$one" 4 "$sizes")" conv=notrunc 2>/dev/null
part='{"type":"Polygon","coordinates":[[[400,400],[900,400],[900,900],[400,900],[400,400]]]}'
printf '%s' "$part" >"$work/inside.geojson"
expect 1 tiles "$work/hole.svs" -o "$work/hole" --tile-px 200 --mpp 0.5 --strict
says 'level 1: tile 0,0 would not decode'
expect 0 tiles "$work/hole.svs" -o "$work/hole" --tile-px 200 --strict --tissue "$work/inside.geojson" --json
json '.tissue_source == "geojson" and .unreadable == 0 and .n_tiles > 0 and .warnings == []'
expect 0 tiles "$work/hole.svs" -o "$work/hole" --tile-px 200 --json
json '.warnings | any(test("native tiles of level 1 would not decode"))'
expect 0 tissue "$work/hole.svs" --tissue "$work/inside.geojson" -o "$work/m.png" --json
json '.source_level == null'
expect 0 run "$work/hole.svs" -o "$work/hole-r" --model demo-tumor --tissue "$work/inside.geojson" --strict --json
json '.tissue | .source == "geojson" and .source_level == null' "$work/hole-r/hole/result.json"

# A native tile of zeros in a copy of the slide: counted, marked, never scored; --strict fails the slide.
# Its place: the longest run of bytes after which the file still opens is not looked for, the tile index
# is: tag 324 of the first directory.
expect 0 info "$a" --json
u32() { od -An -tu4 -j"$1" -N4 "$a" | tr -d ' '; }
u16() { od -An -tu2 -j"$1" -N2 "$a" | tr -d ' '; }
dir=$(u32 4) offsets=0 counts=0
for ((i = 0; i < $(u16 "$dir"); i++)); do
    at=$((dir + 2 + 12 * i))
    [[ $(u16 $at) == 324 ]] && offsets=$(u32 $((at + 8)))
    [[ $(u16 $at) == 325 ]] && counts=$(u32 $((at + 8)))
done
tile=$((5 * 13 + 6)) # 13 tiles of 240 pixels across: the middle of the slide
cp "$a" "$work/bad.svs"
dd if=/dev/zero of="$work/bad.svs" bs=1 seek="$(u32 $((offsets + 4 * tile)))" count="$(u32 $((counts + 4 * tile)))" conv=notrunc 2>/dev/null
expect 0 run "$work/bad.svs" -o "$work/rb" --model demo-tumor --json
json '.slides[0].state == "done" and (.slides[0].graded | not) and (.slides[0].reason | test("tissue tiles unreadable"))'
json '.grade.tiles.unreadable > 0 and (.grade.tiles.done + .grade.tiles.unreadable == .grade.tiles.planned)' "$work/rb/bad/result.json"
json 'tostring | test("tissue tiles unreadable")' "$work/rb/report.json"
that grep -q 'tissue tiles unreadable' "$work/rb/report.html"
that test "$(h5dump -d state -w 0 "$work/rb/bad/tiles.h5" | grep -oE '\b2\b' | wc -l)" -gt 0
expect 1 run "$work/bad.svs" -o "$work/rb" --model demo-tumor --strict
says 'tile [0-9]+ \(level-0 pixels [0-9]+,[0-9]+\) holds a native tile that will not decode'
expect 1 run "$work/bad.svs" -o "$work/rb2" --model demo-tumor --strict
says 'failed: level 0: tile 6,5: '
json '.status == "not analysed"' "$work/rb2/bad/result.json"
expect 1 tiles "$work/bad.svs" -o "$work/tb" --strict
says 'level 0: tile 6,5: '
that test ! -e "$work/tb/bad/tiles.csv"
expect 0 tiles "$work/bad.svs" -o "$work/tb"
prints '^unreadable [1-9]'
that test "$(awk -F, '$9 == 1' "$work/tb/bad/tiles.csv" | wc -l)" -ge 1
expect 0 run "$a" -o "$work/rs" --model demo-tumor --strict
# A share that does not cost the grade is told all the same.
cp "$a" "$work/little.svs"
edge=$((2 * 13 + 2)) # one tissue tile touches it
dd if=/dev/zero of="$work/little.svs" bs=1 seek="$(u32 $((offsets + 4 * edge)))" count="$(u32 $((counts + 4 * edge)))" conv=notrunc 2>/dev/null
expect 0 run "$work/little.svs" -o "$work/rl" --model demo-tumor --json
json '.slides[0].graded and (.slides[0].warnings | any(test("^1 of [0-9]+ tissue tiles unreadable")))'
finish
