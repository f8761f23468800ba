#!/usr/bin/env bash
# microtome models, doctor, bench.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

expect 0 models list
silent err
prints '^demo-tumor@[0-9]+\.[0-9]+' 'scope: .*synthetic'
expect 0 models list --json
json 'any(.[]; .name == "demo-tumor" and (.summary | length) > 0)'
expect 0 models show demo-tumor
prints '^state +research' '\(positive\)$' '^slides +synthetic only' '^not_for .*clinical' '^license +[A-Za-z]' '^sha256 +[0-9a-f]{64}$'
expect 0 models show demo-tumor --json
json '.state == "research" and .patch_px > 0 and .mpp > 0 and (.classes | length) >= 2 and (.positive_class | ascii_downcase) == "tumour" and (.thresholds | length) > 0'
expect 1 models show no-such-model
says 'no-such-model' 'demo-tumor'
expect 1 models check "$work/none.onnx"
says 'none.onnx'
printf 'not a model' >"$work/x.onnx"
expect 1 models check "$work/x.onnx"
silent out
if data models/mitosis-slimresnet/model.onnx; then
    expect 0 models check "$REPLY" --json
    json '.runs and .parameters > 200000 and .macs > 1e7 and .peak_bytes == .weight_bytes + .state_bytes
        and .external_files == [] and all(.operators[]; .supported and .domain == "" and .count > 0)
        and .inputs[0].shape == "[1,3,64,64]"'
    expect 0 models check "$REPLY"
    prints '^runs +yes$' '^parameters +0\.2' '^macs ' '^peak memory ' '^operators +[0-9]+  [A-Z]'
    expect 0 models show "$REPLY" --json
    json '.classes == ["Other", "Mitosis"] and .positive_class == "Mitosis" and .mpp == 0.25 and .patch_px == 64 and .stride_px == 32'
    # A card that does not match its weights does not load.
    jq '.engine.sha256 = "00" + .engine.sha256[2:]' "${REPLY%/*}/config.json" >"$work/wrong.json"
    expect 1 models show "$REPLY" --config "$work/wrong.json"
    says 'SHA-256'
fi

# An operator we do not know: named with its node, and every operator we know after it.
mkdir -p "$work/odd"
sed 's/Relu/Rexu/g' "$MT_SOURCE_DIR/tests/fault/model/model.onnx" >"$work/odd/model.onnx"
jq --arg s "$(sha256sum "$work/odd/model.onnx" | cut -c 1-64)" '.engine.sha256 = $s' \
    "$MT_SOURCE_DIR/tests/fault/model/config.json" >"$work/odd/config.json"
expect 1 models check "$work/odd/model.onnx"
prints '^runs +no$' '^problem +Rexu node "#1" domain "" opset [0-9]+: unknown operator' 'Rexu  NOT SUPPORTED'
expect 1 models check "$work/odd/model.onnx" --json
json '(.runs | not) and ([.problems[] | .operator + .node] == ["Rexu#1", "Rexu#3", "Rexu#5", "Rexu#7"])
    and (.supported_operators | length) > 100'
slide odd.svs --size 1024x1024
expect 1 run "$REPLY" -o "$work/odd/r" --overlap 8 --model "$work/odd/model.onnx"
says 'supported operators:'
expect 1 run "$REPLY" -o "$work/odd/r" --model "$work/odd/model.onnx"
says 'Rexu node "#1"' 'unknown operator' 'supported operators:' '^  .*\bConv\b' '^  .*\bSoftmax\b'

expect 0 doctor
prints '^ok '
not_prints '^FAIL'
expect 0 doctor --json
json '.failed == 0 and .cores >= 1 and (.checks | length) > 3 and all(.checks[]; .ok)'

slide a.svs --size 1500x1200
expect 0 bench tiling "$REPLY" --tile-px 256 --threads 2 --peers openslide --json
silent err
json '.rounds == 3 and .native_needed == .native_decoded and .of_raw_range[0] <= .of_raw and .of_raw <= .of_raw_range[1] and .bench == "tiling" and .threads == 2 and .crops == 5 * 4 and .tiling.mpix_per_cpu_s > 1 and .raw.mpix_per_cpu_s > 0 and .of_raw > 0 and .of_openslide > 0 and .peak_rss_bytes > 0'
expect 0 bench tiling "$REPLY" --tile-px 64 --order random --rounds 1
prints '^of raw'
prints 'random order'
expect 0 bench tiling "$REPLY" --tile-px 64 --downsample 2 --rounds 1 --json
json '.level == 0 and .way == "exact" and .downsample == 2 and .fast_scaling == false'
expect 0 bench tiling "$REPLY" --tile-px 64 --downsample 2 --fast-scaling --rounds 1 --json
json '.level == 0 and .way == "samples" and .reduced_by == 1 and .fast_scaling == true'
expect 0 bench tiling "$REPLY" --no-raw --crops 4 --cpu ref --json
json '.crops == 4 and .kernels == "ref" and .raw == null and .openslide == null and .of_raw == null'
expect 1 bench tiling "$work/none.svs"
silent out

slide t.svs --size 3000x3000 --seed 5
expect 0 bench pipeline "$REPLY" --model demo-tumor --rounds 2 --json
silent err
json '.bench == "pipeline" and .rounds == 2 and .tiles > 20 and .run.tiles_per_cpu_s > 0 and .network.tiles_per_s > 0 and .of_network > 0 and .of_network_range[0] <= .of_network'
that test -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'microtome-bench-*' -newer "$REPLY")"
expect 1 bench pipeline "$work/none.svs" --model demo-tumor
silent out
finish
