#!/usr/bin/env python3
"""Compares our reader with pydicom and dcmdump, element for element, over every DICOM file below
the folders given and over data sets that pydicom makes.

usage: dicom_elements.py PROGRAM FOLDER...     exit 77 when pydicom is absent
"""
import atexit
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
import zlib

try:
    import pydicom
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import RawDataElement
except ImportError:
    print("pydicom is not installed: skipped")
    sys.exit(77)

warnings.simplefilter("ignore")
MADE = 120  # data sets made here, besides the real ones
# What neither judge can be asked about, and why.
NOT_DCMDUMP = {
    "no_meta.dcm": "begins with a stray byte",
}


def plain_vr(tag, vr, signed):
    """One VR where the dictionary offers several, by the rule for implicit little endian (PS3.5 A.1)."""
    if vr is None:
        if tag.element == 0:
            return "UL"
        if tag.is_private:
            return "LO" if 0x10 <= tag.element <= 0xff else "UN"
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return "UN"
    vr = str(getattr(vr, "value", vr))
    if " or " not in vr:
        return vr
    if "OW" in vr:
        return "OW"
    return "SS" if signed else "US"


def length_of(n):
    return "u" if n == 0xffffffff else str(n)


def pydicom_lines(ds, depth, signed, out):
    for tag in list(ds.keys()) if depth else ds.keys():
        raw = ds.get_item(tag)
        if tag == 0x00280103:
            signed = bool(ds[tag].value)
        israw = isinstance(raw, RawDataElement)
        vr = plain_vr(tag, raw.VR, signed)
        head = "%d %04x%04x %s" % (depth, tag.group, tag.element, vr)
        if vr == "SQ":
            items = ds[tag].value or []
            undefined = ds[tag].is_undefined_length if not israw else raw.length == 0xffffffff
            out.append("%s %s sequence" % (head, "u" if undefined else "*"))
            for i, item in enumerate(items):
                out.append("%d item %d" % (depth + 1, i))
                pydicom_lines(item, depth + 1, signed, out)
            out.append("%d end %d" % (depth, len(items)))
        elif not israw:  # decoded on the way: Specific Character Set
            out.append("%s * *" % head)
        else:
            value = raw.value or b""
            out.append("%s %s %08x" % (head, length_of(raw.length), zlib.crc32(value)))


def by_pydicom(path):
    # every element stays raw: no value is touched before it is compared
    with open(path, "rb") as f:
        data = f.read()
    if os.path.basename(path) == "no_meta.dcm":  # a byte of the head that was cut off is left
        data = data[1:]
    ds = pydicom.dcmread(io.BytesIO(data), force=True)
    m = ds.file_meta
    out = ["%s %s %s" % (m.get("TransferSyntaxUID", ""), m.get("MediaStorageSOPClassUID", ""),
                         m.get("MediaStorageSOPInstanceUID", ""))]
    pydicom_lines(ds, 0, False, out)
    return out


def same(ours, theirs):
    """pydicom forgets the stated length of sequences: '*' stands for any. What is UN and has no
    length is a sequence to the judges; ours says what is written."""
    if len(ours) != len(theirs):
        return False
    ours = [re.sub(r"^(\d+ \w+) UN u sequence", r"\1 SQ u sequence", a) for a in ours]
    return all(a == b or ("*" in b and re.fullmatch(re.escape(b).replace(r"\*", "[0-9a-f]+"), a))
               for a, b in zip(ours, theirs))


def dcmdump_ours(lines):
    """Our lines in the words of dcmdump."""
    out = []
    for line in lines[1:]:
        w = line.split()
        if w[1] == "item" or w[1] == "end":
            continue
        out.append((int(w[0]), w[1], "SQ" if w[2:4] == ["UN", "u"] else w[2],
                    w[3] if w[3] == "u" else str((int(w[3]) + 1) // 2 * 2)))  # dcmdump makes odd lengths even
    return out


VALUES = {
    "AE": "TITLE", "AS": "042Y", "AT": 0x00280010, "CS": "A_B", "DA": "20240229", "DS": "1.5",
    "DT": "20240229101112.5", "FD": 1.25, "FL": 0.5, "IS": "-7", "LO": "some text",
    "LT": "long\\text", "OB": b"\1\2\3\4", "OD": b"\1" * 16, "OF": b"\2" * 8, "OL": b"\3" * 8,
    "OV": b"\4" * 16, "OW": b"\5" * 6, "PN": "A^B", "SH": "short", "SL": -5, "SS": -6,
    "ST": "text", "SV": -7, "TM": "101112", "UC": "unlimited", "UI": "1.2.3", "UL": 7,
    "UN": b"\6" * 5, "UR": "http://x", "US": 8, "UT": "text " * 20000, "UV": 9,
}


class Dice:
    """The same throws on every machine."""

    def __init__(self, seed):
        self.state = seed * 2654435761 + 1

    def throw(self, n):
        self.state = self.state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        return (self.state >> 33) % n


def made_set(dice, depth):
    """Private elements of every VR, and sequences in sequences with lengths of either kind."""
    ds = pydicom.Dataset()
    ds.add_new(0x00090010, "LO", "MAKER")
    for i, vr in enumerate(sorted(VALUES)):
        if dice.throw(3) == 0 and (vr != "UT" or depth == 0):
            empty = dice.throw(5) == 0 and vr not in ("US", "UL")
            ds.add_new(0x00091000 + i, vr, None if empty else VALUES[vr])
    ds.add_new(0x00280010, "US", dice.throw(65536))
    ds.add_new(0x00280106, "US", 3)
    for tag in (0x00081140, 0x00409096, 0x52009230)[: 3 if depth < 4 else 0]:
        if dice.throw(2):
            ds.add_new(tag, "SQ", [made_set(dice, depth + 1 + dice.throw(3)) for _ in range(dice.throw(3))])
            ds[tag].is_undefined_length = bool(dice.throw(2))
            for item in ds[tag].value:
                item.is_undefined_length_sequence_item = bool(dice.throw(2))
    return ds


def made_files(folder, n):
    """n data sets as pydicom writes them, in four syntaxes."""
    syntaxes = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
    for i in range(n):
        ds = made_set(Dice(i), 0)
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntaxes[i % 4]
        ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        ds.file_meta.MediaStorageSOPInstanceUID = "1.2.%d" % (i + 1)
        ds.is_implicit_VR, ds.is_little_endian = i % 4 == 0, i % 4 != 2
        ds.save_as(os.path.join(folder, "made%03d.dcm" % i), write_like_original=False)


def by_dcmdump(path):
    """Depth, tag, VR, length of every element but group 2 and delimiters; None: it cannot read."""
    run = subprocess.run(["dcmdump", "-q", "+Qn", "+L", "+R", "4", path], capture_output=True, check=False)
    if run.returncode:
        return None
    out = []
    for line in run.stdout.decode("latin-1").splitlines():
        m = re.match(r"( *)\(([0-9a-f]{4}),([0-9a-f]{4})\) (..) .*# *(\d+|u/l), *\d+ \w+", line)
        if not m or m[2] in ("0002", "fffe"):
            continue
        length = "u" if m[5] == "u/l" else m[5]
        vr = {"??": "UN", "up": "UL"}.get(m[4], m[4])  # unknown; offset in a DICOMDIR
        out.append((len(m[1]) // 4, m[2] + m[3], vr, length))
    return out


def show(name, judge, ours, theirs):
    for i, (a, b) in enumerate(zip(ours + [None] * len(theirs), theirs + [None] * len(ours))):
        if a != b and not (isinstance(b, str) and isinstance(a, str) and same([a], [b])):
            print("%s: line %d: ours %s, %s %s" % (name, i, a, judge, b))
            return
    print("%s: differs" % name)


def main():
    program, folders = sys.argv[1], [f for f in sys.argv[2:] if os.path.isdir(f)]
    have_dcmdump = shutil.which("dcmdump") is not None
    files = sorted(os.path.join(d, f) for top in folders for d, _, names in os.walk(top) for f in names
                   if f.endswith(".dcm") or f.startswith("DICOMDIR") or f == "PS_0026")
    bad = elements = dumped = 0
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made)
    made_files(made, MADE)
    files += sorted(os.path.join(made, f) for f in os.listdir(made))
    for path in files:
        name = os.path.basename(path)
        run = subprocess.run([program, "--bare", path], capture_output=True, check=False)
        ours = run.stdout.decode().splitlines()
        if run.returncode:
            print("%s: refused: %s" % (name, run.stderr.decode().strip()))
            bad += 1
            continue
        theirs = by_pydicom(path)
        elements += len(ours)
        if not same(ours, theirs):
            show(name, "pydicom", ours, theirs)
            bad += 1
        if have_dcmdump and name not in NOT_DCMDUMP and not path.startswith(made):
            dump = by_dcmdump(path)
            if dump is None:
                print("%s: dcmdump cannot read it" % name)
                bad += 1
                continue
            dumped += 1
            mine = dcmdump_ours(ours)
            if mine != dump:
                show(name, "dcmdump", mine, dump)
                bad += 1
    print("%d files, %d lines compared with pydicom's, %d files with dcmdump's; %d differ"
          % (len(files), elements, dumped, bad))
    return 1 if bad or len(files) < MADE + (40 if folders else 0) else 0


sys.exit(main())
