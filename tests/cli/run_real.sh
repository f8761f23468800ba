#!/usr/bin/env bash
# The main job on real slides with a real model: spacing rules, scope, overlap of the card.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

data slides/CMU-1-Small-Region.svs || exit 77
cmu=$REPLY
data slides/TCGA-CR-7395-01A-01-TS1.svs || exit 77
tcga=$REPLY
data models/mitosis-slimresnet/model.onnx || exit 77
mitosis=(--model "$REPLY")

# 0.499 um/px slide, 0.25 um/px model: 1.996 times upsampled, allowed with a warning.
expect 0 run "$cmu" -o "$work/r" "${mitosis[@]}" --threads 2 --stats
prints '^state +done' '^score +[01]\.' '^warning +.*upsampl' '^coverage' 'decoded \(1\.0000 times each\)'
result=$work/r/CMU-1-Small-Region/result.json
json '.plan.upsampled and .plan.target_mpp == 0.25 and .plan.tile_px == 64 and (.plan.resample - 0.501 | fabs) < 0.01' "$result"
json '.slide.mpp_x == 0.499 and (.slide.mpp_source | test("MPP"))' "$result"
json '.grade.positive_class == "Mitosis" and .grade.coverage > 0.99 and .model.state == "research"' "$result"
json '.plan.overlap == 0.5' "$result" # the card asks for a stride of 32 px
exists "$work"/r/CMU-1-Small-Region/{tiles.h5,heatmap.tif,heatmap.png} "$work/r/model-outputs-csv/CMU-1-Small-Region.csv"
that test "$(head -n 1 "$work/r/model-outputs-csv/CMU-1-Small-Region.csv")" = minx,miny,width,height,prob_Other,prob_Mitosis
if command -v openslide-show-properties >/dev/null; then
    that grep -q level-count <(openslide-show-properties "$work/r/CMU-1-Small-Region/heatmap.tif")
fi
if command -v tiffinfo >/dev/null; then
    that tiffinfo "$work/r/CMU-1-Small-Region/heatmap.tif" >/dev/null 2>&1
fi
# Areas are counted once although tiles overlap: all classes together are what was analysed.
json '([.grade.classes[].area_mm2] | add) - .grade.analysed_mm2 | fabs < 0.001' "$result"

# No spacing in the file: refused with the tags named; with a given one it runs and the result says so.
expect 1 run "$tcga" -o "$work/t" "${mitosis[@]}"
prints '^state +failed: .*(aperio\.MPP|MPP).*'
says 'looked at: MPP.*; --assume-mpp F states it'
that test ! -e "$work/t/TCGA-CR-7395-01A-01-TS1/tiles.h5"
expect 0 run "$tcga" -o "$work/t" "${mitosis[@]}" --assume-mpp 0.25 --overlap 0%
prints '^state +done'
json '.slide.mpp_source == "assumed" and .slide.mpp_assumed and .plan.upsampled == false and .plan.overlap == 0' "$work/t/TCGA-CR-7395-01A-01-TS1/result.json"
# Coarser than 2.1 times the model's spacing: refused, by name of the rule.
expect 1 run "$cmu" -o "$work/u" "${mitosis[@]}" --assume-mpp 0.6
prints '^state +failed: .*(2\.1|upsampl)'

# demo-tumor is for synthetic slides and says so; by request it runs and is marked.
expect 1 run "$cmu" -o "$work/d" --model demo-tumor
prints '^state +failed: .*synthetic'
json '.status == "not analysed"' "$work/d/CMU-1-Small-Region/result.json"
expect 0 run "$cmu" -o "$work/d" --model demo-tumor --allow-out-of-scope 'a test of the mark'
prints '^scope +out of scope'
json '.scope.state == "out of scope" and .scope.override_reason == "a test of the mark"' "$work/d/CMU-1-Small-Region/result.json"

# The whole folder of real and odd files in one go: every slide has its row, none takes the run down.
expect 1 run "${cmu%/*}" -o "$work/all" "${mitosis[@]}" --overlap 0% --min-tissue 0.9 --json
json '.summary.slides == (.slides | length) and .summary.done >= 1 and .summary.failed >= 1'
json 'all(.slides[]; .state == "done" or .state == "empty" or (.reason | length > 0))'
json 'type == "object"' "$work/all/report.json"
finish
