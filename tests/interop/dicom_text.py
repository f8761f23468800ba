#!/usr/bin/env python3
"""Compares our decoding of DICOM text with python's codecs, character by character, and with
pydicom's over files.

usage: dicom_text.py PROGRAM FOLDER...     exit 77 when pydicom is absent
"""
import os
import subprocess
import sys
import warnings

try:
    import pydicom
except ImportError:
    print("pydicom is not installed: skipped")
    sys.exit(77)

warnings.simplefilter("ignore")
TEXT = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
# term, escape sequence or none, python's codec, what it wants before each character
ONE = [("ISO_IR 100", "latin_1"), ("ISO_IR 101", "iso8859_2"), ("ISO_IR 109", "iso8859_3"),
       ("ISO_IR 110", "iso8859_4"),
       ("ISO_IR 144", "iso8859_5"), ("ISO_IR 127", "iso8859_6"), ("ISO_IR 126", "iso8859_7"),
       ("ISO_IR 138", "iso8859_8"), ("ISO_IR 148", "iso8859_9"), ("ISO_IR 203", "iso8859_15"),
       ("ISO_IR 166", "tis_620")]
HIGH = {"ISO_IR 100": "-A", "ISO_IR 101": "-B", "ISO_IR 109": "-C", "ISO_IR 110": "-D", "ISO_IR 144": "-L",
        "ISO_IR 127": "-G", "ISO_IR 126": "-F", "ISO_IR 138": "-H", "ISO_IR 148": "-M", "ISO_IR 203": "-b",
        "ISO_IR 166": "-T"}
# Characters that have two mappings in use: iconv takes one, python the other.
EITHER_WAY = {
    "JIS": {"\\": "\uff3c", "\u2225": "\u2016", "\uff0d": "\u2212", "\uff5e": "\u301c", "\uffe0": "\u00a2",
            "\uffe1": "\u00a3", "\uffe2": "\u00ac", "~": "\uff5e"},
}


class Judge:
    def __init__(self, program):
        self.program = program
        self.bad = self.looks = 0

    def ours(self, charset, vr, values):
        run = subprocess.run([self.program, charset, vr], input="".join(v.hex() + "\n" for v in values),
                             capture_output=True, check=True, text=True)
        out = [line.split(" ") for line in run.stdout.splitlines()]
        assert len(out) == len(values), (charset, len(out), len(values))
        return [(bytes.fromhex(h).decode("utf-8"), int(n)) for h, n in out]

    def same(self, charset, values, wanted, either=None, vr="LO"):
        for v, (got, wrong), want in zip(values, self.ours(charset, vr, values), wanted):
            self.looks += 1
            if want is None:
                good = wrong > 0 and "\ufffd" in got
            else:
                pair = either or {}
                good = wrong == 0 and (got == want or pair.get(want) == got or pair.get(got) == want)
            if not good:
                self.bad += 1
                if self.bad < 30:
                    print("%s %s: ours %a (%d wrong), wanted %a" % (charset, v.hex(), got, wrong, want))


def decode(data, codec):
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def moved(c):
    """Private use, and what the editions of GB 18030 (2000, 2005, 2022) put in different places."""
    ranges = ((0xe000, 0xf8ff), (0x9fa6, 0x9fbb), (0xfe10, 0xfe19), (0x1e3f, 0x1e3f))
    return any(low <= ord(c) <= high for low, high in ranges)


def characters(j):
    for term, codec in ONE:
        raw = [bytes([b]) for b in range(0x80, 0x100)]
        # C1 controls are not allowed, PS3.5 6.1.3
        want = [decode(b, codec) if b[0] >= 0xa0 else None for b in raw]
        j.same(term, raw, want)
        j.same("\\ISO 2022 IR " + term[7:], [b"\x1b" + HIGH[term].encode() + b for b in raw], want)
    raw = [bytes([b]) for b in range(0x80, 0x100)]
    j.same("ISO_IR 13", raw, [b.decode("shift_jis") if 0xa1 <= b[0] <= 0xdf else None for b in raw])
    j.same("", raw, [None] * 128)
    pairs = [bytes([a, b]) for a in range(0x21, 0x7f) for b in range(0x21, 0x7f)]
    high = [bytes([a | 0x80 for a in p]) for p in pairs]
    j.same("ISO 2022 IR 6\\ISO 2022 IR 87", [b"\x1b$B" + p + b"\x1b(B" for p in pairs],
           [decode(p, "euc_jp") for p in high], EITHER_WAY["JIS"])
    j.same("ISO 2022 IR 6\\ISO 2022 IR 159", [b"\x1b$(D" + p + b"\x1b(B" for p in pairs],
           [decode(b"\x8f" + p, "euc_jp") for p in high], EITHER_WAY["JIS"])
    # added by later editions; the filler, which python takes for a prefix
    later = (b"\xa2\xe6", b"\xa2\xe7", b"\xa2\xe8", b"\xa4\xd4")
    korean = [p for p in high if p not in later]
    j.same("\\ISO 2022 IR 149", [b"\x1b$)C" + p for p in korean], [decode(p, "euc_kr") for p in korean])
    j.same("\\ISO 2022 IR 58", [b"\x1b$)A" + p for p in high], [decode(p, "gb2312") for p in high])
    two = [bytes([a, b]) for a in range(0x81, 0xff) for b in range(0x40, 0xff) if b != 0x7f]
    for term, codec in (("GBK", "gbk"), ("GB18030", "gb18030")):
        want = [decode(b, codec) for b in two]
        ours = j.ours(term, "LO", two)
        keep = [i for i, w in enumerate(want) if w and not moved(w) and not moved(ours[i][0][:1] or w) and
                two[i] not in (b"\xa1\xa4", b"\xa1\xaa", b"\xa8\xbc")]
        assert len(keep) > 20000
        j.same(term, [two[i] for i in keep], [want[i] for i in keep])
    code_points = [c for c in range(0x20, 0x110000, 7) if not 0xd800 <= c < 0xf900]
    four = [(chr(c).encode("gb18030"), chr(c)) for c in code_points]
    four = [(b, c) for b, c in four if len(b) == 4 and not moved(c)]
    j.same("GB18030", [b for b, _ in four], [c for _, c in four])
    j.same("ISO_IR 192", [chr(c).encode() for c in code_points], [chr(c) for c in code_points])


def broken_utf8(j):
    """Python's replacement is the standard's (Unicode 3.9, best practice): as many U+FFFD as it has."""
    state = 1
    values = []
    for _ in range(4000):
        value = bytearray()
        for _ in range(8):
            state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            kind, b = state >> 60, state >> 40 & 0xff
            if kind < 3:
                value += b"\xe2\x82\xac"
            elif kind < 7:
                value += b"\xf0\x9f\x98\x80"[: 1 + kind % 4]
            else:
                value.append(b | 0x80)
        values.append(bytes(value))
    for v, (got, _) in zip(values, j.ours("ISO_IR 192", "LT", values)):
        j.looks += 1
        if got != v.decode("utf-8", "replace"):
            j.bad += 1
            print("UTF-8 %s: ours %a, python %a" % (v.hex(), got, v.decode("utf-8", "replace")))


def switching(j):
    """Escape sequences and what ends them, from PS3.5 annexes H, I, J, K and by the rules of 6.1.2.5."""
    cases = [
        # H.3.1, H.3.2: Japanese
        ("\\ISO 2022 IR 87", "PN", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
         "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "PN",
         b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
         "\uff94\uff8f\uff80\uff9e^\uff80\uff9b\uff73=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"),
        # I.2: Korean, the escape again in every component and group
        ("\\ISO 2022 IR 149", "PN",
         b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
         "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"),
        # without it again the high bytes mean nothing
        ("\\ISO 2022 IR 149", "PN", b"\x1b$)C\xfb\xf3^\xd1\xce", "\u6d2a^\ufffd\ufffd"),
        ("\\ISO 2022 IR 149", "LO", b"\x1b$)C\xfb\xf3^\xd1\xce", "\u6d2a^\u5409"),   # ^ ends nothing outside PN
        ("\\ISO 2022 IR 149", "LT", b"\x1b$)C\xfb\xf3\\\xd1\xce", "\u6d2a\\\u5409"), # nor a backslash in LT
        ("\\ISO 2022 IR 149", "LO", b"\x1b$)C\xfb\xf3\\\xd1\xce", "\u6d2a\\\ufffd\ufffd"),
        ("\\ISO 2022 IR 149", "LT", b"\x1b$)C\xfb\xf3\r\n\xd1\xce", "\u6d2a\r\n\ufffd\ufffd"),
        # J: UTF-8, GB18030; K: GB2312
        ("ISO_IR 192", "PN", "Wang^XiaoDong=\u738b^\u5c0f\u6771=".encode(), "Wang^XiaoDong=\u738b^\u5c0f\u6771="),
        ("GB18030", "PN", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c="),
        ("\\ISO 2022 IR 58", "PN", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
         "Zhang^XiaoDong=\u5f20^\u5c0f\u4e1c="),
        # two one-byte sets in one value; the first comes back behind a delimiter
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "PN", b"Buc^J\xe9r\xf4me\x1b-L\xbb\xee\xda^\xe9", "Buc^J\u00e9r\u00f4me\u041b\u044e\u043a^\u00e9"),
        # Kanji whose second half is a backslash, ^ or =
        ("\\ISO 2022 IR 87", "PN", b"\x1b$B0\\0^0=\x1b(B", b"\x1b$B0\\0^0=\x1b(B".decode("iso2022_jp")),
        # yen and overline
        ("ISO_IR 13", "LT", b"\\~", "\u00a5\u203e"),
        # an escape nobody knows, and one cut off
        ("ISO_IR 100", "LO", b"a\x1b%Gb", "a\ufffd%Gb"),
        ("ISO_IR 100", "LO", b"a\x1b$", "a\ufffd$"),
        ("GBK", "LO", b"\x1b(B", "\x1b(B"),
        # spellings
        ("ISO-IR 101", "LO", b"\xb1", "\u0105"), ("iso_ir_101", "LO", b"\xb1", "\u0105"), ("UTF-8", "LO", b"\xc4\x85", "\u0105"),
        ("ISO 2022 GBK", "LO", b"\xcd\xf5", "\u738b"), ("NONSENSE", "LO", b"\xb1", "\ufffd"),
    ]
    for charset, vr, value, want in cases:
        (got, _), = j.ours(charset, vr, [value])
        j.looks += 1
        if got != want:
            j.bad += 1
            print("%s %s %a: ours %a, wanted %a" % (charset, vr, value, got, want))


def text_of(ds, depth, out):
    for e in ds:
        if e.VR == "SQ":
            for item in e.value:
                text_of(item, depth + 1, out)
        elif e.VR in TEXT and not e.tag.is_private:  # pydicom knows some creators
            values = e.value if isinstance(e.value, (list, pydicom.multival.MultiValue)) else [e.value]
            for i, v in enumerate(values if e.value not in (None, "") else []):
                out.append((depth, "%08x" % e.tag, i, str(v).strip(" \0").rstrip("=")))


def files(j, folders):
    n = 0
    for path in sorted(os.path.join(d, f) for top in folders for d, _, names in os.walk(top) for f in names):
        if os.path.basename(path) == "no_meta.dcm" or not (path.endswith(".dcm") or "DICOMDIR" in path):
            continue
        theirs = []
        text_of(pydicom.dcmread(path, force=True), 0, theirs)
        run = subprocess.run([j.program, path], capture_output=True, check=True, text=True)
        ours = []
        for line in run.stdout.splitlines():
            depth, tag, i, text = line.split(" ")
            text = bytes.fromhex(text).decode().strip(" \0")
            if int(tag[3], 16) & 1:
                continue
            text = text.rstrip("=")  # pydicom drops empty groups of a name
            if text or any(t[:3] == (int(depth), tag, int(i)) for t in theirs):
                ours.append((int(depth), tag, int(i), text))
        theirs = [t for t in theirs if t[3] or t in ours]
        ours = [o for o in ours if o[3] or o in theirs]
        n += 1
        j.looks += len(theirs)
        for a, b in zip(ours + [None], theirs + [None]):
            if a != b:
                j.bad += 1
                print("%s: ours %a, pydicom %a" % (os.path.basename(path), a, b))
                break
    return n


def main():
    j = Judge(sys.argv[1])
    characters(j)
    broken_utf8(j)
    switching(j)
    n = files(j, [f for f in sys.argv[2:] if os.path.isdir(f)])
    print("%d comparisons, %d files, %d differ" % (j.looks, n, j.bad))
    return 1 if j.bad or j.looks < 100000 else 0


sys.exit(main())
