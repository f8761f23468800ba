"""Every frame of every DICOM whole-slide image under a folder, decoded by pydicom and Pillow, against the
native tiles Microtome reads: dicom_frames.py SLIDE_TILES FOLDER. Lossy and lossless alike must agree to the
last bit, for both use the same JPEG and JPEG 2000 libraries; JPEG-LS, which Pillow does not read, is held
against the uncompressed twin of the file. Exit 77: nothing to look at."""
import io
import os
import subprocess
import sys

import numpy
import pydicom
from PIL import Image
from pydicom.encaps import generate_pixel_data_frame

WSM = "1.2.840.10008.5.1.4.1.1.77.1.6"
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
TWINS = {"sm_image_jpegls.dcm": "sm_image.dcm"}
NAMES = {"LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}


def frames(path):
    """All frames of a file as RGB arrays, and its data set."""
    twin = TWINS.get(os.path.basename(path))
    d = pydicom.dcmread(path)
    p = pydicom.dcmread(os.path.join(os.path.dirname(path), twin)) if twin else d
    n = int(d.get("NumberOfFrames", 1) or 1)
    if p.file_meta.TransferSyntaxUID in NATIVE:
        a = p.pixel_array.reshape(n, d.Rows, d.Columns, -1)
        if d.BitsStored > 8:
            a = (a.astype(numpy.int64) * 255 * 2 + (1 << d.BitsStored) - 1) // (2 * ((1 << d.BitsStored) - 1))
        return d, [numpy.repeat(f, 3, axis=2) if f.shape[2] == 1 else f for f in a.astype(numpy.uint8)]
    streams = list(generate_pixel_data_frame(p.PixelData, n))
    return d, [numpy.asarray(Image.open(io.BytesIO(s)).convert("RGB")) for s in streams]


def tiles(program, path, optical_path):
    """What Microtome reads: {(width, height): {(x, y): tile}}, {name: picture}."""
    run = subprocess.run([program, path, optical_path], stdout=subprocess.PIPE, check=True)
    out, levels, pictures, level = io.BytesIO(run.stdout), {}, {}, None
    while True:
        words = out.readline().split()
        if not words:
            return levels, pictures
        if words[0] == b"level":
            w, h, tw, th = map(int, words[1:5])
            level = levels.setdefault((w, h), {})
        elif words[0] == b"tile":
            x, y, n = map(int, words[1:])
            level[x, y] = numpy.frombuffer(out.read(n), numpy.uint8).reshape(th, tw, 3) if n else None
        else:
            w, h = map(int, words[2:])
            pictures[words[1].decode()] = numpy.frombuffer(out.read(3 * w * h), numpy.uint8).reshape(h, w, 3)


def main(program, folder):
    looked, bad = 0, []
    for path in sorted(os.path.join(d, f) for d, _, names in os.walk(folder) for f in names):
        if not path.endswith(".dcm") or pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID != WSM:
            continue
        d, judge = frames(path) if "TotalPixelMatrixColumns" in pydicom.dcmread(path, stop_before_pixels=True) \
            else (None, None)
        if d is None:
            continue
        name, flavour = os.path.relpath(path, folder), d.ImageType[2]
        paths = [o.OpticalPathIdentifier for o in d.OpticalPathSequence] if "OpticalPathSequence" in d else [""]
        w, h = int(d.TotalPixelMatrixColumns), int(d.TotalPixelMatrixRows)
        tx, ty = -(-w // d.Columns), -(-h // d.Rows)
        paths = paths[:max(1, len(judge) // (tx * ty))]
        for o, optical_path in enumerate(paths):
            try:
                levels, pictures = tiles(program, path, optical_path)
            except subprocess.CalledProcessError:
                if flavour != "VOLUME":
                    break  # an image beside a slide that is not there
                raise
            if flavour in NAMES:
                ours = {(0, 0): pictures.get(NAMES[flavour])}
                theirs = {(0, 0): judge[0][:h, :w]}
            else:
                ours = levels.get((w, h), {})
                theirs = {(i % tx, i // tx): judge[o * tx * ty + i] for i in range(tx * ty)}
            for at, want in theirs.items():
                looked += 1
                got = ours.get(at)
                if got is None or got.shape != want.shape or (got != want).any():
                    most = "absent" if got is None or got.shape != want.shape else \
                        abs(got.astype(int) - want).max()
                    bad.append(f"{name}: path {optical_path!r} tile {at}: {most}")
    print(f"{looked} frames compared")
    for line in bad[:40]:
        print(line)
    return 1 if bad else 0 if looked > 150 else 77


sys.exit(main(*sys.argv[1:]))
