#!/usr/bin/env bash
# DICOM slides on the command line: a file, a folder, a glob, a list; several slides; what is no slide.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
export MICROTOME_CACHE=$work/cache

# A series made here: four parts of a concatenation and two coarser levels.
make=${MT_BINARY_DIR}/bin/dicom_series
if [[ -x $make ]]; then
    "$make" "$work/made" 4 3 16 || exit 1
    expect 0 info "$work/made"
    prints '^format +dicom-wsi' '^size +128 x 128 px' '^spacing +0.5 um/px \(dicom.PixelSpacing\)' '^level 2 +32 x 32'
    expect 0 info --json "$work/made"
    json '.format == "dicom-wsi" and (.levels | length) == 3 and .width == 128'
    cp "$work/.out" "$work/folder.json"
    expect 0 info --json --digest "$work/made/level-1.dcm"
    json "del(.sha256) == $(jq -c . "$work/folder.json")"
    digest=$(jq -r .sha256 "$work/.out")
    expect 0 info --json --digest "$work/made/"
    json ".sha256 == \"$digest\""

    # A part is missing: named, and the slide is refused.
    mv "$work/made/level-0-part-000003.dcm" "$work/part"
    expect 1 info "$work/made"
    says 'part 3 of a concatenation is missing'
    mv "$work/part" "$work/made/level-0-part-000003.dcm"

    # Tiles: the folder's name, a file's stem.
    expect 0 tiles "$work/made" -o "$work/tiles" --whole-slide --tile-px 64 --format h5
    that test -s "$work/tiles/made/made.h5" -a -s "$work/tiles/made/tiles.csv"
    that test "$(wc -l <"$work/tiles/made/tiles.csv")" = 5
    expect 0 tiles "$work/made/level-2.dcm" -o "$work/tiles" --whole-slide --tile-px 64 --format none
    that test -s "$work/tiles/level-2/tiles.csv"

    # A choice the slide does not have.
    expect 2 info "$work/made" --focal-plane 1
    says 'no focal plane 1; the slide has 1'
    slide a.svs --size 600x500
    expect 2 info "$REPLY" --optical-path 1
    says 'no optical path'

    # Several slides, other files, junk in one folder: each slide once.
    mkdir "$work/mixed"
    cp "$work"/made/* "$work/mixed"
    cp "$REPLY" "$work/mixed/b.svs"
    echo no slide >"$work/mixed/c.txt"
    expect 0 run "$work/mixed" -o "$work/run" --model demo-tumor --json --allow-out-of-scope test
    json '[.slides[].slide] | sort == ["b", "level-0-part-000001"]'
    expect 0 run "$work"/made/*.dcm -o "$work/glob" --model demo-tumor --json --allow-out-of-scope test
    json '[.slides[].slide] == ["level-0-part-000001"]'
    expect 0 run "$work/made/" -o "$work/one" --model demo-tumor --json --allow-out-of-scope test
    json '[.slides[].slide] == ["made"]'
    printf 'wsi\nmade/level-1.dcm\nmade/level-2.dcm\nmade\n' >"$work/list.csv"
    expect 0 run "$work/list.csv" -o "$work/list" --model demo-tumor --json --allow-out-of-scope test
    json '[.slides[].slide] | sort == ["level-0-part-000001", "made"]'

    # 3,000 files: opened, and remembered.
    "$make" "$work/many" 3000 || exit 1
    expect 0 info --quick --json "$work/many"
    json '.width * .height == 3000 * 256'
    that test -n "$(ls "$work/cache")"
    that test "$(stat -c %a "$work"/cache/* | sort -u)" = 600
    begin=$(date +%s%N)
    expect 0 info --quick --json "$work/many"
    took=$((($(date +%s%N) - begin) / 1000000))
    echo "3,000 files opened again in $took ms"
    rm -rf "$work/many"
fi

if data dicom-wsi; then
    d=$REPLY
    expect 0 info "$d/cmu-1-small-region"
    prints '^level 11 ' 'YCbCr 4:2:0 by JFIF marker' '^warning +.*photometric'
    expect 2 info "$d/highdicom"
    says 'holds 4 DICOM slides'
    expect 1 info "$d/label-pdf417-concatenation.dcm"
    says 'a LABEL image'
    expect 0 info "$d/3dhistech-fluorcell4" --optical-path 2
    prints '3 optical paths, read: 2' 'fluorescence'
    expect 0 run "$d/cmu-1-small-region" -o "$work/real" --model demo-tumor --allow-out-of-scope 'reading test' --json
    json '.slides[0] | .state == "done" and .slide == "cmu-1-small-region" and .score > 0.9'
    that test -s "$work/real/cmu-1-small-region/heatmap.png"
    that jq -e '.slide.format == "dicom-wsi" or .slide.sha256' "$work/real/cmu-1-small-region/result.json"
    # Every file of a folder by name: five slides, and no row for labels and what is no slide.
    expect 1 run "$d"/*.dcm -o "$work/all" --model demo-tumor --allow-out-of-scope 'reading test' --json
    json '.slides | length == 5 and all(.[]; .reason | test("coarser"))'
fi
finish
