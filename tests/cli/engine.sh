#!/usr/bin/env bash
# The second engine: a user's ONNX Runtime. MT_ONNXRUNTIME names its library; no package brings one.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
slide a.svs --size 3000x2400 --seed 41
run=(run "$REPLY" --model demo-tumor)

expect 1 "${run[@]}" -o "$work/none" --engine onnxruntime --onnxruntime-lib "$work/libonnxruntime.so"
says '^microtome run: no ONNX Runtime library at .*/libonnxruntime\.so$'
that test ! -e "$work/none"
expect 0 "${run[@]}" -o "$work/ours"
json '.provenance.inference == {"engine": "microtome", "version": .provenance.engine_version, "library_sha256": null}' "$work/ours/a/result.json"

lib=${MT_ONNXRUNTIME:-}
[[ -n $lib ]] || { printf 'the run itself is skipped: set MT_ONNXRUNTIME to libonnxruntime.so\n'; finish; }
expect 0 "${run[@]}" -o "$work/theirs" --engine onnxruntime --onnxruntime-lib "$lib" --threads 3
json '.provenance.inference.engine == "onnxruntime" and .provenance.kernel_set == "onnxruntime" and (.provenance.inference.library_sha256 | length) == 64' "$work/theirs/a/result.json"
# Same tiles, the same scores within a ten-thousandth.
# shellcheck disable=SC2016
that awk -F, '
    NR == FNR {a[FNR] = $0; next}
    FNR > 1 {
        n = split(a[FNR], x, ","); split($0, y, ",")
        for (i = 1; i <= 4; i++) if (x[i] != y[i]) exit 1
        for (i = 5; i <= n; i++) if ((x[i] - y[i]) ^ 2 > 1e-8) exit 1
    }
    END {if (FNR < 20) exit 1}' "$work"/{ours,theirs}/model-outputs-csv/a.csv
# The other engine is another key: nothing of it is taken for ours.
expect 0 "${run[@]}" -o "$work/ours" --engine onnxruntime --onnxruntime-lib "$lib" --json
json '.summary.resumed == 0'
expect 0 "${run[@]}" -o "$work/ours" --engine onnxruntime --onnxruntime-lib "$lib" --json
json '.summary.resumed == 1'

# Weights in a file beside the model are found, and are part of what is checked.
python_check onnx || finish
mkdir "$work/beside"
"$python" - "$MT_SOURCE_DIR/models/cards/demo-tumor/model.onnx" "$work/beside/model.onnx" <<'PY'
import sys, onnx
onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2], save_as_external_data=True, location="weights.bin", size_threshold=64)
PY
jq 'del(.engine.sha256)' "$MT_SOURCE_DIR/models/cards/demo-tumor/config.json" >"$work/beside/config.json"
exists "$work/beside/weights.bin"
run[3]=$work/beside
expect 0 "${run[@]}" -o "$work/beside-ours"
expect 0 "${run[@]}" -o "$work/beside-theirs" --engine onnxruntime --onnxruntime-lib "$lib"
that cmp -s "$work"/{theirs,beside-theirs}/model-outputs-csv/a.csv
finish
