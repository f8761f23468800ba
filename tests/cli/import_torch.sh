#!/usr/bin/env bash
# tools/import_torch.py: a PyTorch network becomes a model, and both score the same tiles alike.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
python_check torch torchvision onnx numpy PIL || exit 77
import=$MT_SOURCE_DIR/tools/import_torch.py

# A trained network is not needed to compare numbers: its last layer is made steep, so that scores spread.
"$python" - "$work" <<'PY' || { echo "the network could not be made"; exit 1; }
import json, sys, torch, torchvision
work = sys.argv[1]
torch.manual_seed(3)
net = torchvision.models.mobilenet_v2(num_classes=3, width_mult=0.25).eval()
with torch.no_grad():
    net.classifier[1].weight.mul_(40)
torch.jit.trace(net, torch.zeros(1, 3, 96, 96)).save(work + "/torchscript_model.pt")
card = {"spec_version": "1.0", "architecture": "mobilenet_v2", "num_classes": 3, "class_names": ["a", "b", "c"],
        "patch_size_pixels": 128, "spacing_um_px": 0.5,
        "transform": [{"name": "Resize", "arguments": {"size": 96}}, {"name": "ToTensor"},
                      {"name": "Normalize", "arguments": {"mean": [0.7, 0.5, 0.7], "std": [0.15, 0.18, 0.12]}}]}
json.dump(card, open(work + "/config.json", "w"))
card["num_classes"], card["class_names"] = 2, ["a", "b"]
json.dump(card, open(work + "/two.json", "w"))
PY

# try CODE PATTERN arguments...: exit code and a line of its talk.
try() {
    local want=$1 pattern=$2 code
    shift 2
    last=("$import" "$@")
    "$python" "$import" "$@" --microtome "$MICROTOME" >"$work/.out" 2>"$work/.err"
    code=$?
    looks=$((looks + 1))
    [[ $code == "$want" ]] || complain "exit $code, not $want"
    [[ $want == 0 ]] && prints "$pattern"
    [[ $want == 0 ]] || says "$pattern"
}
try 0 '64 tiles, largest difference of a probability' "$work" -o "$work/model"
exists "$work/model/model.onnx" "$work/model/config.json"
expect 0 models check "$work/model/model.onnx"
expect 0 models show "$work/model"
try 1 'output is \(1, 3\), the card has 2 classes' "$work" -o "$work/bad" --config "$work/two.json"
try 1 'needs --config' "$work/torchscript_model.pt" -o "$work/bad"
try 1 'needs --weights' torchvision:resnet18 -o "$work/bad"
try 1 'there is no' "$work/none.pt" -o "$work/bad"

# A program whose scores are others is found out.
cat >"$work/liar" <<'LIAR'
#!/usr/bin/env bash
"$MICROTOME" "$@" || exit
[[ $1 != run ]] || sed -i '2s/,[^,]*$/,0.987/' "$4"/model-outputs-csv/*.csv
LIAR
chmod +x "$work/liar"
"$python" "$import" "$work" -o "$work/lied" --microtome "$work/liar" >"$work/.out" 2>"$work/.err"
that test $? = 1
says 'Microtome and PyTorch differ by'
finish
