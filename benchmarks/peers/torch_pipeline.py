#!/usr/bin/python3
"""The usual Python way over one slide: OpenSlide, a DataLoader, PyTorch. One line of JSON with its figures.

  torch_pipeline.py SLIDE TILES.csv MODEL.pt [--workers N] [--threads N] [--batch N] [--form eager|freeze|optimize]

TILES.csv lists the boxes of level 0 (minx, miny, width, height), as `microtome run` writes them: finding the tissue
is not timed. Each tile is read by read_region at level 0, made RGB, resized by Pillow where the model's side differs,
normalised, and scored. MODEL.pt is TorchScript. Needs python3-openslide, python3-torch, python3-pil, python3-numpy.
"""
import argparse
import csv
import json
import os
import resource
import time

import numpy
import openslide
import torch
from PIL import Image


class Tiles(torch.utils.data.Dataset):
    def __init__(self, slide, boxes, side, mean, std):
        self.path, self.boxes, self.side, self.slide = slide, boxes, side, None
        self.mean = numpy.array(mean, numpy.float32).reshape(3, 1, 1)
        self.std = numpy.array(std, numpy.float32).reshape(3, 1, 1)

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, i):
        if self.slide is None:  # one handle a worker: a handle does not survive a fork
            self.slide = openslide.OpenSlide(self.path)
        x, y, w, h = self.boxes[i]
        rgb = self.slide.read_region((x, y), 0, (w, h)).convert("RGB")
        if rgb.size != (self.side, self.side):
            rgb = rgb.resize((self.side, self.side), Image.BILINEAR)
        v = numpy.asarray(rgb, numpy.float32).transpose(2, 0, 1) / numpy.float32(255)
        return torch.from_numpy((v - self.mean) / self.std)


def network(path, form):
    net = torch.jit.load(path).eval()
    if form == "freeze":
        return torch.jit.freeze(net).to(memory_format=torch.channels_last)
    if form == "optimize":
        return torch.jit.optimize_for_inference(net)
    return net


def cpu_seconds():
    mine = resource.getrusage(resource.RUSAGE_SELF)
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("slide")
    p.add_argument("tiles")
    p.add_argument("model")
    p.add_argument("--side", type=int, default=256)
    p.add_argument("--mean", type=float, nargs=3, default=[0.485, 0.456, 0.406])
    p.add_argument("--std", type=float, nargs=3, default=[0.229, 0.224, 0.225])
    p.add_argument("--workers", type=int, default=0)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--form", choices=["eager", "freeze", "optimize"], default="freeze")
    a = p.parse_args()
    with open(a.tiles, encoding="utf-8", newline="") as f:
        boxes = [tuple(int(r[k]) for k in ("minx", "miny", "width", "height")) for r in csv.DictReader(f)]
    torch.set_num_threads(a.threads)
    net = network(a.model, a.form)
    with torch.no_grad():
        for _ in range(3):  # the just-in-time compiler takes its time at first
            net(torch.zeros(a.batch, 3, a.side, a.side))
        wall, cpu, n = time.monotonic(), cpu_seconds(), 0
        tiles = Tiles(a.slide, boxes, a.side, a.mean, a.std)
        for batch in torch.utils.data.DataLoader(tiles, batch_size=a.batch, num_workers=a.workers):
            if a.form != "eager":
                batch = batch.contiguous(memory_format=torch.channels_last)
            n += int(torch.softmax(net(batch), 1).shape[0])
        wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
    print(json.dumps({"engine": "torch " + torch.__version__, "form": a.form, "workers": a.workers, "threads": a.threads,
                      "tiles": n, "tiles_per_s": n / wall, "tiles_per_cpu_s": n / cpu}))


if __name__ == "__main__":
    main()
