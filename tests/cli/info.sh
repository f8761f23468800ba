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
json 'length >= 3 and all(.[], .[].features[]; .proof == "proven on real files" or .proof == "fixture only") and all(.[]; .name | length > 0)'

# The README has the same table, row for row.
jq -r '.[] | "| `\(.name)` | \(.description) | \(.proof) |", (.features[] | "| | \(.feature) | \(.proof) |")' "$work/.out" >"$work/rows"
that test "$(wc -l <"$work/rows")" -gt 10
last=(README.md: rows of the table under Formats)
that diff "$work/rows" <(sed -n '/^## Formats/,/^## [^F]/p' "$MT_SOURCE_DIR/README.md" | grep -E '\| (proven on real files|fixture only) \|$')

# JSON is what its schema says, and the schema is no empty promise: it refuses what is not in it.
expect 0 info --schema
cp "$work/.out" "$work/schema.json"
that cmp "$work/schema.json" "$MT_SOURCE_DIR/tools/schema/info.json"
python_check jsonschema && {
    cat >"$work/valid.py" <<'PY'
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
check = jsonschema.Draft7Validator(schema)
slide = json.load(open(sys.argv[2]))
errors = [e.message for e in check.iter_errors(slide)]
print(errors) if errors else None
bad = [dict(slide, mpp_x="0.25"), dict(slide, colour="x"), dict(slide, levels=[])]
bad += [{k: v for k, v in slide.items() if k != m} for m in schema["required"]]
sys.exit(bool(errors) or any(check.is_valid(b) for b in bad))
PY
    valid() { that "$python" "$work/valid.py" "$work/schema.json" "$work/.out"; }
    expect 0 info --json --digest "$svs"
    valid
    expect 0 info --json --quick "$work/b.tif"
    valid
    json '.levels[0].absent == null and .levels[0].damaged == null'
}

# What lies in the file, tile by tile: nothing is missing here ...
expect 0 info --json "$svs"
json '[.levels[] | .absent, .damaged] | all(. == 0)'
json '.warnings == []'
# ... and here tile 1,0 begins with other bytes, and tile 2,0 has lost its end marker.
read -ra at < <(tiffinfo -s "$svs" 2>/dev/null | awk '$1 == "0:" || $1 == "1:" || $1 == "2:" {gsub(/[\[\],]/, ""); print $2, $3}' | head -n 3 | tr '\n' ' ')
cp "$svs" "$work/hurt.svs"
printf 'xx' | dd of="$work/hurt.svs" bs=1 seek="${at[2]}" conv=notrunc status=none
head -c 200 /dev/zero | dd of="$work/hurt.svs" bs=1 seek=$((at[4] + at[5] - 200)) conv=notrunc status=none
expect 0 info "$work/hurt.svs"
prints '^level 0 .*, 1 DAMAGED$' '^warning +level 0: 1 of 35 tiles damaged, the first 1,0: does not begin as jpeg' \
    '^warning +level 0: 1 of 35 tiles cut short .*, the first 2,0$'
expect 0 info --json "$work/hurt.svs"
json '.levels[0].damaged == 1 and (.warnings | length) == 2'

# An associated image as a file.
expect 0 info "$svs" --associated macro -o "$work/macro.png"
says 'may show a name'
that test "$(head -c 8 "$work/macro.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a
expect 1 info "$svs" --associated floor -o "$work/floor.png"
says 'no floor image; it has: .*label'
that not test -e "$work/floor.png"
expect 2 info "$svs" --associated label
expect 1 info "$svs" --associated label -o "$work/none/label.png"

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
