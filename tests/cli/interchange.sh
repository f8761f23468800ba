#!/usr/bin/env bash
# What other tools write and read: coordinates of CLAM, TRIDENT and WSInfer in and out, WebDataset shards. The
# files go through h5py and tarfile, the logic of each tool is written down again below.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
python_check h5py PIL || exit 77

slide a.svs --size 3000x2000 --seed 9 --mpp 0.5
svs=$REPLY

cat >"$work/read.py" <<'PY'
# read.py TOOL FILE: the patches as the tool finds them, one "x y side-at-level-0 side-it-hands-on" a line.
import sys, h5py
import numpy as np

tool, path = sys.argv[1:]
with h5py.File(path, "r") as f:
    dset = f["coords"]
    coords, attrs = dset[:], dict(dset.attrs)
assert coords.dtype == np.int64 and coords.ndim == 2 and coords.shape[1] == 2, coords.dtype
if tool == "clam":  # Whole_Slide_Bag_FP, and what the segmentation step leaves
    assert sorted(attrs) == ["downsample", "downsampled_level_dim", "level_dim", "name", "patch_level", "patch_size", "save_path"], attrs
    assert attrs["level_dim"].shape == (2,) and attrs["downsample"].shape == (2,) and isinstance(attrs["name"], str)
    side = int(attrs["patch_size"])
    box = round(side * float(attrs["downsample"][0]))
elif tool == "trident":  # extract_patch_features
    assert sorted(attrs) == ["level0_height", "level0_magnification", "level0_width", "name", "overlap", "patch_size",
                             "patch_size_level0", "savetodir", "target_magnification"], attrs
    side = int(attrs["patch_size"])
    box = round(side * attrs["level0_magnification"] / attrs["target_magnification"])
    assert box == attrs["patch_size_level0"], attrs
else:  # WSInfer's data set reads patch_size pixels of level 0
    assert sorted(attrs) == ["patch_level", "patch_size", "patch_spacing_um_px"] and attrs["patch_level"] == 0, attrs
    box = int(attrs["patch_size"])
    side = round(box * 0.5 / attrs["patch_spacing_um_px"])
for x, y in coords:
    print(x, y, box, side)
PY
# The same from our own list; side-it-hands-on is $2.
listed() { awk -F, -v side="$2" 'NR > 1 {print $2, $3, $4, side}' "$1"; }
same() { that cmp -s "$1" "$2"; }

# Out: what each tool reads is what was cut.
for tool in clam trident wsinfer; do
    end=.h5
    [[ $tool == trident ]] && end=_patches.h5
    for mpp in 0.5 0.7; do
        out=$work/$tool-$mpp
        expect 0 tiles "$svs" -o "$out" --format coords --h5-style "$tool" --tile-px 224 --mpp "$mpp" --overlap 25%
        exists "$out/a/a$end"
        last=(read.py "$tool" "$mpp")
        that "$python" "$work/read.py" "$tool" "$out/a/a$end" >"$work/found"
        side=224
        [[ $tool == clam && $mpp == 0.7 ]] && side=314 # no level has that spacing: the box at level 0
        listed "$out/a/tiles.csv" $side >"$work/want"
        same "$work/found" "$work/want"
        that test "$(wc -l <"$work/want")" -gt 50
    done
done

# Out and in again: the same boxes in the same order, and the same pixels.
expect 0 tiles "$svs" -o "$work/direct" --format png --tile-px 224 --mpp 0.7 --overlap 25%
for tool in trident wsinfer; do
    dir=$work/$tool-0.7
    expect 0 tiles "$svs" -o "$work/back-$tool" --format png --coords "$dir/a" --json
    silent err
    json ".coords == \"$tool\" and .tile_px == 224 and (.note | not)"
    that diff -r -x tiles.csv "$work/direct/a" "$work/back-$tool/a"
    same <(cut -d, -f2-5 "$work/direct/a/tiles.csv") <(cut -d, -f2-5 "$work/back-$tool/a/tiles.csv")
done
expect 0 tiles "$svs" -o "$work/back-clam" --format none --coords "$work/clam-0.7/a/a.h5" --tile-px 224 --mpp 0.7 --json
json '.coords == "clam" and .box_l0 == 314 and .tile_px == 224'
same <(cut -d, -f2-5 "$work/direct/a/tiles.csv") <(cut -d, -f2-5 "$work/back-clam/a/tiles.csv")

# In: files as the tools write them, in an order of their own, boxes anywhere, one of them twice.
cat >"$work/write.py" <<'PY'
import sys, h5py
import numpy as np

out = sys.argv[1]
rng = np.random.default_rng(5)
coords = np.stack([rng.integers(0, 2990, 40), rng.integers(0, 1990, 40)], 1)
coords[17] = coords[3]
np.savetxt(out + "/coords.txt", np.delete(coords, 17, 0), fmt="%d")

def write(name, data=coords, attrs=None, **how):
    with h5py.File(f"{out}/{name}.h5", "w") as f:
        d = f.create_dataset("coords", data=data, **how)
        for k, v in (attrs or {}).items():
            d.attrs[k] = v

clam = dict(patch_size=256, patch_level=0, downsample=(1.0, 1.0), downsampled_level_dim=(3000, 2000), level_dim=(3000, 2000),
            name="a", save_path="x")
trident = dict(patch_size=256, patch_size_level0=512, level0_magnification=20, target_magnification=10, overlap=0, name="a",
               savetodir="x", level0_width=3000, level0_height=2000)
wsinfer = dict(patch_size=350, patch_level=0, patch_spacing_um_px=0.7)
rows = dict(maxshape=(None, 2), chunks=(1, 2))
write("clam", attrs=clam, **rows)
write("trident", attrs=trident, **rows)
write("wsinfer", attrs=wsinfer, compression="gzip")
write("legacy", attrs=dict(patch_size=128, patch_level=0, custom_downsample=2))
write("int32", data=coords.astype(np.int32), attrs=clam)
write("empty", data=np.array([]), attrs=trident)
write("none", data=np.zeros((0, 2), int), attrs=clam, **rows)

bad = coords.copy()
bad[7] = (3000, 5)
write("outside", data=bad, attrs=clam)
bad[7] = (-1, 5)
write("negative", data=bad, attrs=clam)
write("float", data=coords * 1.5, attrs=clam)
write("flat", data=coords.ravel(), attrs=clam)
write("three", data=np.zeros((4, 3), int), attrs=clam)
write("words", attrs=dict(clam, patch_size="256"))
write("nosize", attrs=dict(patch_level=0))
write("nan", attrs=dict(clam, patch_size=float("nan")))
write("zero", attrs=dict(clam, patch_size=0))
write("huge", attrs=dict(clam, patch_size=1e12))
write("level", attrs=dict(clam, patch_level=7, downsample=np.array([]), level_dim=(3, 2)))
write("scale", attrs=dict(clam, downsample=(4.0, 4.0)))
write("size", attrs=dict(trident, level0_width=46000))
write("dims", attrs=dict(clam, level_dim=(46000, 32914)))
write("many", data=np.zeros((1, 2), int), attrs=clam, maxshape=(None, 2), chunks=(1 << 26, 2))
with h5py.File(out + "/toolong.h5", "w") as f:
    f.create_dataset("coords", shape=(9000000, 2), dtype="i8", chunks=(4096, 2)).attrs["patch_size"] = 256
with h5py.File(out + "/group.h5", "w") as f:
    f.create_group("coords")
with h5py.File(out + "/other.h5", "w") as f:
    f.create_dataset("xy", data=coords)
with h5py.File(out + "/link.h5", "w") as f:
    f["coords"] = h5py.ExternalLink(out + "/clam.h5", "coords")
with h5py.File(out + "/external.h5", "w") as f:
    f.create_dataset("coords", shape=(2, 2), dtype="i8", external=[(out + "/coords.txt", 0, 32)]).attrs["patch_size"] = 256
PY
mkdir "$work/in"
that "$python" "$work/write.py" "$work/in"
take() { # FILE box side
    expect 0 tiles "$svs" -o "$work/in-$1" --format none --coords "$work/in/$1.h5" --json
    json ".n_tiles == 39 and .box_l0 == $2 and .tile_px == $3 and (.note | test(\"1 of 40 repeat\"))"
    awk -F, 'NR > 1 {print $2, $3}' "$work/in-$1/a/tiles.csv" >"$work/found"
    same "$work/found" "$work/in/coords.txt"
}
take clam 256 256
take trident 512 256
take wsinfer 350 250
take legacy 256 128
take int32 256 256
for f in empty none; do
    expect 0 tiles "$svs" -o "$work/in-$f" --format webdataset --coords "$work/in/$f.h5" --json
    json '.n_tiles == 0'
done

refused() { # FILE REGEX [options]
    expect 1 tiles "$svs" -o "$work/bad" --format none --coords "$work/in/$1.h5" "${@:3}"
    silent out
    says "$2"
    that test "$(wc -l <"$work/.err")" = 1
    that not test -e "$work/bad"
}
refused outside 'row 7: 3000, 5 lies outside the slide.s 3000 x 2000'
refused negative 'row 7: -1, 5 lies outside'
refused float 'coords: not whole numbers'
refused flat 'coords: 1 dimensions, expected 2'
refused three 'coords: 3 columns, expected 2'
refused words 'attribute patch_size is no number'
refused nosize 'no attribute patch_size'
refused nan 'attribute patch_size is not finite'
refused zero 'patch_size 0 is outside'
refused huge 'patch_size 1e\+12 is outside'
refused level 'attribute downsample has 0 values'
refused scale 'another slide: downsample 4 at patch_level 0, the slide has 1'
refused size 'another slide: level0_width is 46000, the slide has 3000'
refused dims 'another slide: level_dim is 46000 x 32914'
refused many 'chunks of 67108864 x 2'
refused toolong '9000000 rows, the ceiling is 8000000'
refused group '"coords" is no dataset'
refused other 'no dataset "coords"'
refused link '"coords" is a link to elsewhere'
refused external 'lies in another file'
refused none-such 'the file does not exist'
refused clam 'boxes of 256 level-0 pixels are 128 um wide; tiles of 224 px at 0.5 um/px are 112 um' --tile-px 224 --mpp 0.5
head -c 3000 "$work/in/clam.h5" >"$work/in/cut.h5"
refused cut 'no HDF5 file, or a damaged one'
cp "$svs" "$work/in/picture.h5"
refused picture 'no HDF5 file, or a damaged one'
mkdir "$work/in/folder.h5"
refused folder 'no coordinates of this slide'
expect 0 tiles "$svs" -o "$work/noted" --format none --coords "$work/in/clam.h5" --tile-px 256 --mpp 0.48 --json
json '.note | test("boxes of 128 um, asked for were 122.9 um \\(\\+4.2 %\\)")'
expect 2 tiles "$svs" -o "$work/bad" --coords "$work/in/clam.h5" --overlap 10
expect 2 tiles "$svs" -o "$work/bad" --coords "$work/in/clam.h5" --min-tissue 0.5
expect 2 tiles "$svs" -o "$work/bad" --coords "$work/in/clam.h5" --edge drop
expect 2 tiles "$svs" "$svs" -o "$work/bad" --coords "$work/in/clam.h5"

# WebDataset: shards in plan order, the same bytes every time, samples as a reader groups them.
expect 0 tiles "$svs" -o "$work/w1" --format webdataset --shard-tiles 30 --threads 1
expect 0 tiles "$svs" -o "$work/w2" --format webdataset --shard-tiles 30 --threads 3
that diff -r "$work/w1/a" "$work/w2/a"
expect 0 tiles "$svs" -o "$work/jpg" --format jpeg
cat >"$work/shards.py" <<'PY'
import csv, glob, io, json, sys, tarfile
from PIL import Image

folder, pictures = sys.argv[1:]
rows = list(csv.DictReader(open(folder + "/tiles.csv")))
shards = sorted(glob.glob(folder + "/*.tar"))
assert [s[-10:] for s in shards] == ["%06d.tar" % i for i in range(len(shards))] and len(shards) == -(-len(rows) // 30)
at = 0
for shard in shards:
    samples = {}  # by what stands before the first dot of the base name, as the library groups them
    with tarfile.open(shard) as t:
        for m in t:
            assert m.isreg() and m.mtime == 0 and m.uid == 0 and m.gid == 0 and m.mode == 0o644, m.name
            assert t.format is not None and m.name.count(".") == 1
            key, end = m.name.split(".", 1)
            samples.setdefault(key, {})[end] = t.extractfile(m).read()
    for key, sample in samples.items():
        row = rows[at]
        said = json.loads(sample["json"])
        assert sorted(sample) == ["jpg", "json"], sorted(sample)
        assert key == f"a_{row['minx']}_{row['miny']}" and row["file"] == shard[-10:], key
        assert (said["tile"], said["x_l0"], said["y_l0"], said["mpp"], said["unreadable"]) == (at, int(row["minx"]), int(row["miny"]), 0.5, False)
        assert sample["jpg"] == open(f"{pictures}/{row['minx']}_{row['miny']}.jpg", "rb").read()
        assert Image.open(io.BytesIO(sample["jpg"])).size == (256, 256)
        at += 1
assert at == len(rows) > 35
PY
last=(shards.py)
that "$python" "$work/shards.py" "$work/w1/a" "$work/jpg/a"
if command -v tar >/dev/null; then
    that test -z "$(tar -tf "$work/w1/a/000000.tar" 2>&1 >/dev/null)"
fi
# A run with fewer shards takes the others away; one that fails leaves none.
expect 0 tiles "$svs" -o "$work/w1" --format webdataset --shard-tiles 1000
that test "$(count "$work/w1/a" '*.tar')" = 1
expect 0 tiles "$svs" -o "$work/my.old-slide" --format webdataset --whole-slide --tile-px 1024 --shard-tiles 1
that test "$(count "$work/my.old-slide/a" '.*')" = 0

# run --coords: the grid's own tiles give the grid's own scores, whoever wrote them down.
expect 0 run "$svs" -o "$work/r1" --model demo-tumor
tiles=$(jq -r '"--tile-px \(.plan.tile_px) --mpp \(.plan.target_mpp)"' "$work/r1/a/result.json")
# shellcheck disable=SC2086
expect 0 tiles "$svs" -o "$work/job" --format coords --h5-style trident $tiles
expect 0 run "$svs" -o "$work/r2" --model demo-tumor --coords "$work/job/a/a_patches.h5"
same "$work/r1/model-outputs-csv/a.csv" "$work/r2/model-outputs-csv/a.csv"
json '.plan.coords.origin == "trident"' "$work/r2/a/result.json"
json ".plan.coords.sha256 == \"$(sha256sum "$work/job/a/a_patches.h5" | cut -d' ' -f1)\"" "$work/r2/a/result.json"
json '.plan | has("coords") | not' "$work/r1/a/result.json"
that test "$(jq -r .key "$work/r1/a/result.json")" != "$(jq -r .key "$work/r2/a/result.json")"
# The store of a run is such a file too, and a folder finds the slide's.
mkdir "$work/stores"
cp "$work/r1/a/tiles.h5" "$work/stores/a.h5"
expect 0 run "$svs" -o "$work/r3" --model demo-tumor --coords "$work/stores"
same "$work/r1/model-outputs-csv/a.csv" "$work/r3/model-outputs-csv/a.csv"
# So does the folder that tiles wrote to.
expect 0 run "$svs" -o "$work/r3b" --model demo-tumor --coords "$work/job"
same "$work/r1/model-outputs-csv/a.csv" "$work/r3b/model-outputs-csv/a.csv"
# Same command again: done already. Other coordinates: another result.
expect 0 run "$svs" -o "$work/r3" --model demo-tumor --coords "$work/stores" --json
json '.slides[0].resumed'
cat >"$work/some.py" <<'PY'
import sys, h5py
with h5py.File(sys.argv[1], "r+") as f:
    attrs, data = dict(f["coords"].attrs), f["coords"][5:45:2][::-1]
    del f["coords"]
    f.create_dataset("coords", data=data).attrs.update(attrs)
PY
"$python" "$work/some.py" "$work/job/a/a_patches.h5"
expect 0 run "$svs" -o "$work/r2" --model demo-tumor --coords "$work/job/a/a_patches.h5" --json
json '(.slides[0].resumed | not) and .slides[0].tiles == 20'
that test "$(tail -n +2 "$work/r2/model-outputs-csv/a.csv" | wc -l)" = 20
that test -z "$(tail -n +2 "$work/r2/model-outputs-csv/a.csv" | sort | comm -23 - <(tail -n +2 "$work/r1/model-outputs-csv/a.csv" | sort))"
first=$("$python" -c "import h5py,sys; x, y = h5py.File(sys.argv[1])['coords'][0]; print(f'{x},{y},')" "$work/job/a/a_patches.h5")
that test "$(sed -n 2p "$work/r2/model-outputs-csv/a.csv" | grep -c "^$first")" = 1
# Boxes that are not the model's tiles, and coordinates that are not there, fail the slide.
expect 1 run "$svs" -o "$work/r4" --model demo-tumor --coords "$work/in/trident.h5"
says 'failed: coordinates: boxes of 512 level-0 pixels'
mkdir "$work/nothing"
expect 1 run "$svs" -o "$work/r5" --model demo-tumor --coords "$work/nothing"
says 'failed: no coordinates of this slide'
expect 2 run "$svs" -o "$work/r6" --model demo-tumor --coords "$work/stores" --min-tissue 0.5
finish
