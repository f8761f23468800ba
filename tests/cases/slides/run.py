#!/usr/bin/env python3
"""Every file of the test data has a case: what it is, by independent readers, or the sentence it is refused with.

usage: run.py MICROTOME DATA TABLE.json FOLDER...

A table is a list of cases. Members:
  file, judge       path under DATA; whose word the expectation is
  pending           reason: looked at and printed, never red
  exit, error       exit code and a regular expression for the one line on standard error
  format, vendor, width, height, objective, icc, optical_paths, fluorescence, codec (of level 0)
  mpp               [x, y] within 0.1 %, null when the file states none; mpp_source a regular expression
  levels            [width, height, tile width, tile height, codec] each, all of them
  sizes             [width, height] each, all of them
  tile              [width, height, codec] of level 0
  associated        all of them: name -> [width, height]; a name that ends in ? may be missing
  warnings          a regular expression a warning; [] none at all
  mean              [r, g, b] of every pixel of level 0 within 1.5, read through `microtome tiles`
  unreadable        tiles that must be marked unreadable (0 when absent)
  one_of            another case's file: this one opens to the same levels, whichever member is named
  size_in           one of the levels has this size
  same_turned_right pixels equal those of another file turned by 90 degrees clockwise
Every file in the FOLDERs (not below them) must have a case, a README excepted.
"""
import csv, json, os, re, subprocess, sys, tempfile

try:
    from PIL import Image
except ImportError:
    Image = None


def run(tool, *args):
    p = subprocess.run([tool, *args], capture_output=True, text=True, errors="replace", timeout=300)
    return p.returncode, p.stdout, p.stderr


def picture(tool, path, out):
    """Level 0 as one Pillow picture, put together from tiles, and how many of them were unreadable."""
    _, text, _ = run(tool, "info", "--quick", "--json", path)
    info = json.loads(text)
    large = info["width"] * info["height"] > 4e6  # then JPEG: a mean does not mind, and PNG takes long
    code, text, err = run(tool, "tiles", path, "-o", out, "--whole-slide", "--format", "jpeg" if large else "png",
                          "--tile-px", "1024", "--threads", "2", "--json")
    if code:
        raise AssertionError(f"tiles: exit {code}: {err.strip()}")
    said = json.loads(text)
    whole = Image.new("RGB", (info["width"], info["height"]))
    with open(os.path.join(said["folder"], "tiles.csv"), newline="") as table:
        for row in csv.DictReader(table):
            with Image.open(os.path.join(said["folder"], row["file"])) as tile:
                whole.paste(tile, (int(row["minx"]), int(row["miny"])))
    return whole, said["unreadable"]


def mean_of(img):
    from PIL import ImageStat
    return ImageStat.Stat(img).mean


class Case:
    def __init__(self, tool, data, case, work):
        self.tool, self.data, self.c, self.work, self.bad = tool, data, case, work, []
        self.path = os.path.join(data, case["file"])

    def look(self, what, ok, got, want):
        if not ok:
            self.bad.append(f"{what}: {got!r}, expected {want!r}")

    def equal(self, what, got):
        key = what.split(" ")[0]
        if key in self.c:
            self.look(what, got == self.c[key], got, self.c[key])

    def refused(self):
        for words in (["info"], ["info", "--json"], ["tiles", "-o", os.path.join(self.work, "refused"), "--whole-slide"]):
            code, out, err = run(self.tool, words[0], self.path, *words[1:])
            name = " ".join(words[:1])
            self.look(f"{name}: exit", code == self.c["exit"], code, self.c["exit"])
            self.look(f"{name}: standard output", out == "", out[:80], "")
            self.look(f"{name}: lines", err.count("\n") == 1, err[:300], "one line")
            self.look(f"{name}: sentence", re.search(self.c["error"], err) is not None, err.strip(), self.c["error"])
        self.look("nothing is left behind", not os.path.exists(os.path.join(self.work, "refused")), "a folder", "none")

    def spacing(self, info):
        want = self.c["mpp"]
        got = [info["mpp_x"], info["mpp_y"]]
        if want is None:
            self.look("mpp", got == [None, None] and info["mpp_looked_at"], got, want)
        else:
            near = None not in got and all(abs(g / w - 1) < 1e-3 for g, w in zip(got, want))
            self.look("mpp", near and info["mpp_source"], got, want)
        if "mpp_source" in self.c:
            self.look("mpp_source", re.search(self.c["mpp_source"], info["mpp_source"]), info["mpp_source"], self.c["mpp_source"])

    def described(self, info):
        c = self.c
        for key in ("format", "vendor", "width", "height", "objective", "optical_paths", "fluorescence"):
            self.equal(key, info[key])
        self.equal("icc bytes", info["icc_bytes"])
        self.equal("codec of level 0", info["levels"][0]["codec"])
        levels = [[l["width"], l["height"], l["tile_width"], l["tile_height"], l["codec"]] for l in info["levels"]]
        self.equal("levels", levels)
        self.equal("sizes of the levels", [l[:2] for l in levels])
        self.equal("tile of level 0", levels[0][2:])
        if "mpp" in c:
            self.spacing(info)
        if "associated" in c:
            got = {a["name"]: [a["width"], a["height"]] for a in info["associated"]}
            must = {k: v for k, v in c["associated"].items() if not k.endswith("?")}
            may = {k.rstrip("?"): v for k, v in c["associated"].items()}
            self.look("associated", must.items() <= got.items() <= may.items(), got, c["associated"])
        for pattern in c.get("warnings", []):
            self.look("a warning", any(re.search(pattern, w) for w in info["warnings"]), info["warnings"], pattern)
        if c.get("warnings") == []:
            self.look("warnings", info["warnings"] == [], info["warnings"], [])
        if "size_in" in c:
            self.look("size among the levels", c["size_in"] in [l[:2] for l in levels], levels, c["size_in"])
        if "one_of" in c:
            code, out, err = run(self.tool, "info", "--json", os.path.join(self.data, c["one_of"]))
            same = code == 0 and json.loads(out)["levels"] == info["levels"]
            self.look("levels of " + c["one_of"], same, levels, err.strip() or "the same")

    def pixels(self):
        c = self.c
        if Image is None or not ({"mean", "same_turned_right"} & c.keys()):
            return
        img, unreadable = picture(self.tool, self.path, os.path.join(self.work, "tiles"))
        self.look("unreadable tiles", unreadable == c.get("unreadable", 0), unreadable, c.get("unreadable", 0))
        if "mean" in c:
            got = mean_of(img)
            self.look("mean", all(abs(g - w) <= 1.5 for g, w in zip(got, c["mean"])), [round(g, 1) for g in got], c["mean"])
        if "same_turned_right" in c:
            other, _ = picture(self.tool, os.path.join(self.data, c["same_turned_right"]), os.path.join(self.work, "other"))
            other = other.transpose(Image.ROTATE_270)
            self.look("pixels", img.size == other.size and img.tobytes() == other.tobytes(), img.size, c["same_turned_right"])

    def check(self):
        if "exit" in self.c:
            self.refused()
            return
        code, out, err = run(self.tool, "info", "--json", self.path)
        self.look("info: exit", code == 0, f"{code}: {err.strip()}", 0)
        if code == 0:
            self.described(json.loads(out))
            code, out, err = run(self.tool, "info", self.path)
            self.look("info as text: exit", code == 0, code, 0)
            try:
                self.pixels()
            except AssertionError as e:
                self.bad.append(str(e))


def main():
    tool, data, table, folders = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    if not os.path.isdir(os.path.join(data, folders[0])):
        print(f"skipped: no {folders[0]} (set MT_TEST_DATA)")
        return 77
    with open(table) as f:
        cases = json.load(f)
    failed = pending = 0
    known = {c["file"] for c in cases}
    for folder in folders:
        for name in sorted(os.listdir(os.path.join(data, folder))):
            path = f"{folder}/{name}"
            if os.path.isfile(os.path.join(data, path)) and not name.startswith("README") and path not in known:
                print(f"{path}: has no case in {os.path.basename(table)}")
                failed += 1
    only = os.environ.get("CASES", "")
    for c in cases:
        if only not in c["file"]:
            continue
        with tempfile.TemporaryDirectory() as work:
            one = Case(tool, data, c, work)
            one.check()
        if "pending" in c:
            pending += 1
            print(f"{c['file']}: pending ({c['pending']}): " + ("; ".join(one.bad) or "holds by now: take the mark away"))
        elif one.bad:
            failed += 1
            print(f"{c['file']}: FAILED (by {c['judge']})")
            for line in one.bad:
                print("    " + line)
    print(f"{len(cases)} cases, {failed} failed, {pending} pending" + ("" if Image else "; pixels not looked at: no Pillow"))
    return failed > 0


sys.exit(main())
