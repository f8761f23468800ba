#!/usr/bin/env bash
# A command line that makes no sense: exit 2, one line that names the fault, one that shows the way.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

wrong() {
    local pattern=$1
    shift
    expect 2 "$@"
    silent out
    says "^microtome $1: .*$pattern" "^usage: microtome $1 .*microtome help $1"
    that test "$(wc -l <"$work/.err")" = 2
}

wrong 'unknown option --nope' info x.svs --nope
wrong 'unknown option -q' info x.svs -q
wrong 'too few arguments' info
wrong 'one argument too many: y' info x y
wrong '--json=1 takes no argument' info x --json=1

wrong 'is missing' tissue x.svs
wrong 'too few' tissue -o m.png
wrong '-o needs an argument' tissue x.svs -o
wrong 'not a number from' tissue x.svs -o m.png --assume-mpp nan
wrong 'not a number from' tissue x.svs -o m.png --assume-mpp 0
wrong 'empty' tissue x.svs -o ''

wrong 'too few' tiles -o d
wrong '-o DIR is missing' tiles x.svs
wrong '"5" is not a whole number from 16 to 8192' tiles x.svs -o d --tile-px 5
wrong '"1e3" is not a whole number' tiles x.svs -o d --tile-px 1e3
wrong '"99999999999999999999" is not' tiles x.svs -o d --tile-px 99999999999999999999
wrong '"" is not a whole number' tiles x.svs -o d --threads ''
wrong '"0.25x" is not a number' tiles x.svs -o d --min-tissue 0.25x
wrong '"1.01" is not a number from 0 to 1' tiles x.svs -o d --min-tissue 1.01
wrong '"inf" is not a number' tiles x.svs -o d --mpp inf
wrong '"foo" is none of pad\|drop' tiles x.svs -o d --edge foo
wrong '"jp" is none of' tiles x.svs -o d --format jp
wrong '"3Q" is not a size' tiles x.svs -o d --memory 3Q
wrong '"-1M" is not a size' tiles x.svs -o d --memory -1M
wrong 'give one of them' tiles x.svs -o d --mpp 0.5 --mag 20
wrong '"100%" is neither' tiles x.svs -o d --overlap 100%
wrong '"256" leaves no step' tiles x.svs -o d --overlap 256
wrong '"1.5" is neither' tiles x.svs -o d --overlap 1.5
wrong '--tile-px needs an argument' tiles x.svs -o d --tile-px

wrong '-o DIR is missing' run x.svs --model demo-tumor
wrong 'no slide, folder or list' run -o d --model demo-tumor
wrong 'not a whole number' run x.svs -o d --model demo-tumor --batch -1
wrong 'neither pixels' run x.svs -o d --model demo-tumor --overlap abc

wrong 'either -o SLIDE or --check' synth
wrong 'either -o SLIDE or --check' synth -o a.svs --check b.csv
for size in 8192 8192x 8192xx2 x5 255x300 300x255 200001x300 -5x300 ' 300x300' 300x300x300; do
    wrong 'is not WxH' synth -o a.svs --size "$size"
done
wrong 'not a multiple of 16' synth -o a.svs --tile 250
wrong '"tumor" is none of' synth --check x.csv --class tumor
wrong 'one argument too many' synth -o a.svs extra

wrong 'is no benchmark' bench kernel
wrong 'needs a SLIDE' bench tiling
wrong 'needs a SLIDE' bench pipeline
wrong 'needs --model' bench pipeline slide.svs
wrong 'needs --onnxruntime-lib FILE' run x.svs -o d --model demo-tumor --engine onnxruntime
wrong 'is for --engine onnxruntime' run x.svs -o d --model demo-tumor --onnxruntime-lib lib.so
wrong 'needs --onnxruntime-lib FILE' bench pipeline x.svs --model demo-tumor --engine onnxruntime
wrong 'is none of list, show, check' models add x
wrong 'show needs a model' models show
wrong 'list takes no argument' models list x
wrong 'too few' models
wrong 'one argument too many' doctor now

# Without a model: what there is and what each is for.
expect 2 run x.svs -o d
silent out
says '--model NAME.* is missing' 'built-in models:' 'demo-tumor@' 'scope: .*synthetic'

# A unique beginning of a long option will do; what follows -- is no option.
expect 1 info --jso "$work/none.svs"
expect 1 info -- --json
says 'json'
that test ! -e d
finish
