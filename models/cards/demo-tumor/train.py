#!/usr/bin/python3
"""Trains demo-tumor: a tile classifier for slides drawn by `microtome synth`. Development time only.

Every picture and every label comes from the library itself, through ctypes: mt_synth_render draws a
slide, mt_synth_truth tells the exact class areas of a tile. So there is nothing to download and the
whole training can be repeated from this file:

    cmake -S . -B build -G Ninja && ninja -C build libmicrotome
    nice /usr/bin/python3 models/cards/demo-tumor/train.py build/lib/libmicrotome.so OUT [minutes]

OUT gets model.onnx, config.json and figures.json. Needs Debian's python3-torch, python3-onnx,
python3-numpy and python3-pil. Takes about a quarter of an hour on one core.

tile      128 px at 0.5 um/px, reduced to 64 px (Pillow's antialiased bilinear, as the engine does)
label     the class with the largest area in the tile
slides    training, validation and test use different seeds (1000.., 5000.., 9000..); spacing 0.25 or
          0.5 um/px, tumour share, stain (part of the seed), JPEG quality 70..95 and subsampling vary,
          one slide in three has pen, fold and an area out of focus
threshold probability of tumour with the best Youden index on the validation slides
figures   on the test slides, every grid tile with at least a quarter of tissue; 95 % intervals from
          2000 bootstrap draws of whole slides
"""
import ctypes, hashlib, io, json, os, sys, time
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F
from PIL import Image, ImageFilter

PATCH, INPUT, MPP, MIN_TISSUE = 128, 64, 0.5, 0.25
WIDTHS = (16, 32, 64, 80)


class Opts(ctypes.Structure):  # mt_synth_opts of include/microtome/synth.h
    _fields_ = [("version", ctypes.c_int), ("width", ctypes.c_int64), ("height", ctypes.c_int64),
                ("seed", ctypes.c_uint64), ("mpp", ctypes.c_double), ("layout", ctypes.c_int),
                ("tile_px", ctypes.c_int32), ("subsampling", ctypes.c_int), ("jpeg_quality", ctypes.c_int),
                ("rgb", ctypes.c_int), ("tumour", ctypes.c_double), ("pen", ctypes.c_int), ("blur", ctypes.c_int),
                ("fold", ctypes.c_int), ("no_mpp", ctypes.c_int), ("label_text", ctypes.c_char_p),
                ("threads", ctypes.c_int), ("bubble", ctypes.c_int), ("debris", ctypes.c_int), ("edge", ctypes.c_int),
                ("pen_colour", ctypes.c_int)]


class Synth:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.mt_synth_class_name.restype = ctypes.c_char_p
        self.lib.mt_synth_render.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(Opts), ctypes.c_int64,
                                             ctypes.c_int64, ctypes.c_int32, ctypes.c_int32]
        self.lib.mt_synth_truth.argtypes = [ctypes.POINTER(ctypes.c_double), ctypes.POINTER(Opts), ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int32, ctypes.c_int32]
        self.names = []
        while (n := self.lib.mt_synth_class_name(len(self.names))) != b"unknown":
            self.names.append(n.decode())

    def render(self, o, x, y, w, h):
        a = np.empty((h, w, 3), np.uint8)
        self.lib.mt_synth_render(a.ctypes.data, 3 * w, ctypes.byref(o), x, y, w, h)
        return a

    def truth(self, o, x, y, side):
        f = (ctypes.c_double * len(self.names))()
        self.lib.mt_synth_truth(f, ctypes.byref(o), x, y, side, side)
        return np.array(f)


def jpeg(image, rng):
    b = io.BytesIO()
    image.save(b, "JPEG", quality=int(rng.integers(70, 96)), subsampling=int(rng.choice([0, 2])))
    return Image.open(b).convert("RGB")


def slide(seed, rng, small):
    mpp = 0.25 if rng.random() < 0.25 else 0.5
    w, h = (rng.integers(3000, 8000, 2) if small else (8192, 6144)) * (0.5 / mpp if small else 1)
    o = Opts(1, int(w), int(h), seed, mpp if small else 0.5, 0, 240, 420, 80, 0, float(rng.uniform(0.05, 0.5)), 0, 0, 0, 0, None, 1)
    if rng.random() < 1 / 3:
        o.pen = o.blur = o.fold = 1
    return o


def training_tiles(synth, seeds, per_class, rng):
    """Tiles at any place, at most per_class of each class from a slide."""
    xs, ys = [], []
    for seed in seeds:
        o = slide(seed, rng, True)
        side = int(round(PATCH * MPP / o.mpp))
        left = np.full(len(synth.names), per_class)
        left[0] = per_class // 3  # bare glass is easy
        for _ in range(260):
            x, y = int(rng.integers(0, o.width - side)), int(rng.integers(0, o.height - side))
            k = int(synth.truth(o, x, y, side).argmax())
            if not left[k]:
                continue
            left[k] -= 1
            im = Image.fromarray(synth.render(o, x, y, side, side))
            if rng.random() < 0.3:
                im = im.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4) * 0.5 / o.mpp))
            xs.append(np.asarray(jpeg(im, rng).resize((INPUT, INPUT), Image.BILINEAR)))
            ys.append(k)
    return torch.tensor(np.stack(xs)).permute(0, 3, 1, 2).contiguous(), torch.tensor(ys)


def grid_tiles(synth, seeds, rng):
    """Every tile the engine would look at."""
    xs, ys, ids = [], [], []
    for seed in seeds:
        o = slide(seed, rng, False)
        for y in range(0, o.height, PATCH):
            strip = np.asarray(jpeg(Image.fromarray(synth.render(o, 0, y, o.width, PATCH)), rng))
            for x in range(0, o.width, PATCH):
                f = synth.truth(o, x, y, PATCH)
                if 1 - f[0] < MIN_TISSUE:
                    continue
                im = Image.fromarray(np.ascontiguousarray(strip[:, x:x + PATCH]))
                xs.append(np.asarray(im.resize((INPUT, INPUT), Image.BILINEAR)))
                ys.append(int(f.argmax()))
                ids.append(seed)
    return torch.tensor(np.stack(xs)).permute(0, 3, 1, 2).contiguous(), np.array(ys), np.array(ids)


def conv_bn(i, o, s=1, k=3):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o))


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.a, self.b = conv_bn(i, o, s), conv_bn(o, o)
        self.side = conv_bn(i, o, s, 1) if s != 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))) + self.side(x))


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        w = WIDTHS
        self.stem = nn.Sequential(conv_bn(3, w[0], 2), nn.ReLU())
        self.body = nn.Sequential(Block(w[0], w[0], 1), Block(w[0], w[1], 2), Block(w[1], w[2], 2), Block(w[2], w[3], 2))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(w[3], classes)

    def forward(self, x):
        return self.head(torch.flatten(self.pool(self.body(self.stem(x))), 1))


def augment(x):
    """Turns and mirrors; stain, scanner gain and offset varied in optical density. x in 0..1."""
    if torch.rand(1) < 0.5: x = x.flip(3)
    if torch.rand(1) < 0.5: x = x.flip(2)
    if torch.rand(1) < 0.5: x = x.transpose(2, 3)
    n = x.shape[0]
    od = -torch.log(x.clamp(1 / 255, 1))
    od = od * (1 + 0.3 * (torch.rand(n, 3, 1, 1) - 0.5)) * (1 + 0.5 * (torch.rand(n, 1, 1, 1) - 0.5))
    return torch.exp(-od - 0.08 * (torch.rand(n, 3, 1, 1) - 0.5)).clamp(0, 1)


def probabilities(net, x, mean, std):
    net.eval()
    with torch.no_grad():
        return torch.cat([F.softmax(net((b.float() / 255 - mean) / std), 1) for b in x.split(256)]).numpy()


def ranks(p):
    _, inverse, n = np.unique(p, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n - 1) / 2)[inverse]


def auc(y, p):
    n1 = int(y.sum())
    return (ranks(p)[y].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(y) - n1))


def interval(f, ids, draws=2000):
    """Value and 95 % bootstrap interval over whole slides. f takes tile indices."""
    rng, u = np.random.default_rng(0), np.unique(ids)
    where = {s: np.flatnonzero(ids == s) for s in u}
    v = [f(np.concatenate([where[s] for s in rng.choice(u, len(u))])) for _ in range(draws)]
    lo, hi = np.percentile(v, [2.5, 97.5])
    return [round(float(q), 4) for q in (f(np.arange(len(ids))), lo, hi)]


def train(net, x, y, mean, std, minutes):
    opt = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    steps_per_epoch, epochs, t0, step_s = len(x) // 128, 14, time.time(), None
    total = epochs * steps_per_epoch
    for step in range(total):
        if step == 20:  # fit the schedule into the time there is
            step_s = (time.time() - t0) / 20
            total = min(total, int(minutes * 60 / step_s))
        if step >= total:
            break
        if step % steps_per_epoch == 0:
            order = torch.randperm(len(x))
        at = step % steps_per_epoch * 128
        k = order[at:at + 128]
        for group in opt.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * 0.5 * (1 + np.cos(np.pi * step / total))
        net.train()
        loss = F.cross_entropy(net((augment(x[k].float() / 255) - mean) / std), y[k], label_smoothing=0.02)
        opt.zero_grad(); loss.backward(); opt.step()
        if step % 50 == 0:
            print(f"step {step}/{total} loss {loss.item():.3f} {time.time() - t0:.0f} s", flush=True)
    return step


def export(net, path):
    net.eval()
    torch.onnx.export(net, torch.zeros(1, 3, INPUT, INPUT), path, opset_version=13, input_names=["input"],
                      output_names=["logits"], dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})
    import onnx
    m = onnx.load(path)
    onnx.checker.check_model(m)
    assert not any(n.op_type == "BatchNormalization" for n in m.graph.node), "BatchNormalization was not folded"
    m.producer_name, m.producer_version, m.doc_string = "microtome train.py", "", ""
    onnx.save(m, path)
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def macs(net):
    n = [0]
    def count(m, i, o):
        n[0] += o.numel() * (m.weight.numel() // m.weight.shape[0])
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    net.eval()
    with torch.no_grad(): net(torch.zeros(1, 3, INPUT, INPUT))
    for h in hooks: h.remove()
    return n[0]


def figures(names, p, y, ids, threshold):
    tumour, pred = names.index("tumour"), p.argmax(1)
    t, hit = y == tumour, p[:, tumour] >= threshold
    out = {"auc": interval(lambda k: auc(t[k], p[k, tumour]), ids),
           "accuracy": interval(lambda k: float((pred[k] == y[k]).mean()), ids),
           "sensitivity": interval(lambda k: float(hit[k][t[k]].mean()), ids),
           "specificity": interval(lambda k: float(1 - hit[k][~t[k]].mean()), ids)}
    table = {}
    for k, n in enumerate(names):
        both, real, said = int(((y == k) & (pred == k)).sum()), int((y == k).sum()), int((pred == k).sum())
        table[n] = {"n": real, "recall": round(both / real, 4) if real else None,
                    "precision": round(both / said, 4) if said else None}
    return out, table


def card(names, mean, std, digest, threshold, fig, table, n_train, n_test, slides, n_params, n_macs):
    data = f"{slides} unseen synthetic slides, every grid tile with at least 25 % tissue"
    evaluation = [{"data": data, "unit": "tile", "clustered_by": "slide", "n": n_test, "of": "all classes" if m == "accuracy" else "tumour against rest",
                   "metric": m, "value": v[0], "ci95": v[1:]} for m, v in fig.items()]
    return {
        "spec_version": "1.0", "architecture": "tiny-resnet-16-32-64-80", "num_classes": len(names), "class_names": names,
        "patch_size_pixels": PATCH, "spacing_um_px": MPP,
        "transform": [{"name": "Resize", "arguments": {"size": INPUT}}, {"name": "ToTensor"},
                      {"name": "Normalize", "arguments": {"mean": mean, "std": std}}],
        "engine": {
            "name": "demo-tumor", "version": "1.0.0",
            "summary": "tumour and tissue classes of synthetic slides, to try the whole path with a known truth",
            "file": "model.onnx", "sha256": digest, "task": "tile-classification",
            "input": {"name": "input", "layout": "NCHW", "range": "transform"},
            "outputs": [{"name": "logits", "activation": "softmax"}],
            "stride_pixels": PATCH, "positive_class": "tumour",
            "thresholds": [{"name": "default", "value": threshold, "chosen_on": "val"}],
            "normalise_stain": False, "scope": {"synthetic_only": True},
            "license": "Apache-2.0", "weights_license": "CC0-1.0",
            "intended_use": "demonstration and self-test on slides drawn by microtome synth",
            "not_for": "diagnosis; any real slide; not for clinical use",
            "training_data": [f"{n_train} tiles of slides drawn by microtome synth, labels exact; no real tissue"],
            "evaluation": evaluation, "per_class": table,
            "parameters": n_params, "macs": n_macs,
            "limits": ["has never seen real tissue: on a real slide its output means nothing",
                       "the test slides come from the same generator as the training slides, so the figures say "
                       "nothing about other data",
                       "a tile gets one label, the class with the largest area; tiles on a border are often mixed"],
        },
    }


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    lib, out, minutes = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 10
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    rng, synth, t0 = np.random.default_rng(1), Synth(lib), time.time()
    names = synth.names
    x, y = training_tiles(synth, range(1000, 1220), 16, rng)
    print(f"{len(x)} training tiles, {time.time() - t0:.0f} s", dict(zip(names, np.bincount(y, minlength=len(names)))), flush=True)
    mean, std = (v.tolist() for v in ((x.float() / 255).mean((0, 2, 3)), (x.float() / 255).std((0, 2, 3))))
    mean, std = [round(v, 4) for v in mean], [round(v, 4) for v in std]
    tm, ts = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
    net = Net(len(names))
    n_params, n_macs = sum(q.numel() for q in net.parameters()), macs(net)
    print(f"{n_params} parameters, {n_macs / 1e6:.1f} MMAC", flush=True)
    train(net, x, y, tm, ts, minutes)
    vx, vy, vid = grid_tiles(synth, range(5000, 5004), rng)
    p, t = probabilities(net, vx, tm, ts)[:, names.index("tumour")], vy == names.index("tumour")
    cuts = np.round(np.arange(0.05, 0.951, 0.01), 2)
    threshold = float(cuts[np.argmax([(p[t] >= c).mean() - (p[~t] >= c).mean() for c in cuts])])
    digest = export(net, f"{out}/model.onnx")
    tx, ty, tid = grid_tiles(synth, range(9000, 9012), rng)
    fig, table = figures(names, probabilities(net, tx, tm, ts), ty, tid, threshold)
    print("threshold", threshold, "test", fig, table, f"{time.time() - t0:.0f} s")
    c = card(names, mean, std, digest, threshold, fig, table, len(x), len(ty), len(np.unique(tid)), n_params, n_macs)
    json.dump(c, open(f"{out}/config.json", "w"), indent=1)
    open(f"{out}/config.json", "a").write("\n")
    json.dump({"test": fig, "per_class": table, "threshold": threshold, "n": len(ty)}, open(f"{out}/figures.json", "w"), indent=1)


if __name__ == "__main__":
    main()
