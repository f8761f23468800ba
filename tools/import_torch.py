#!/usr/bin/python3
"""Turns a PyTorch tile classifier into what `microtome run --model DIR` takes: model.onnx and config.json.

  import_torch.py SOURCE -o DIR [--config CARD.json] [--microtome PROGRAM] [--opset N] [--license TEXT]

SOURCE is one of
  FOLDER               with torchscript_model.pt (or model.pt) and config.json: a model of the WSInfer zoo
  FILE.pt              TorchScript; its card is given by --config
  torchvision:NAME     an architecture, with --weights FILE (a state_dict) and --config
  timm:NAME            the same of timm

The card (--config, or config.json of the folder) is WSInfer's config.json; keys it has beyond that are kept.
Then both are run on the same tiles of a slide drawn for the purpose: PyTorch on the tiles as PNG files
(Pillow's bilinear resize, as WSInfer does it), Microtome from the slide. The command ends with 1 and removes
nothing when a probability differs by more than 1e-4.

Runs on a machine with PyTorch; no part of the engine. Needs the Python packages torch, onnx, numpy, PIL (Debian:
python3-torch python3-onnx python3-pil) and, for torchvision: and timm:, those.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

TOLERANCE = 1e-4


def fail(text):
    sys.exit(f"import_torch: {text}")


def load_modules():
    try:
        import numpy
        import onnx
        import PIL.Image
        import torch
    except ImportError as e:
        fail(f"this needs the Python module {e.name}; no part of Microtome needs it")
    return numpy, onnx, PIL.Image, torch


def read_card(path):
    try:
        card = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        fail(f"the card {path} cannot be read: {e}")
    for key in ("num_classes", "class_names", "patch_size_pixels", "spacing_um_px", "transform"):
        if key not in card:
            fail(f"the card {path} has no {key}")
    if len(card["class_names"]) != card["num_classes"]:
        fail(f"the card {path} names {len(card['class_names'])} classes, num_classes is {card['num_classes']}")
    return card


def find_source(args):
    """The network's file or architecture, and the path of its card."""
    source = pathlib.Path(args.source)
    if source.is_dir():
        for name in ("torchscript_model.pt", "model.pt"):
            if (source / name).is_file():
                return ("torchscript", source / name), args.config or source / "config.json"
        fail(f"{source} holds neither torchscript_model.pt nor model.pt")
    if ":" in args.source and not source.exists():
        kind, _, name = args.source.partition(":")
        if kind not in ("torchvision", "timm"):
            fail(f"{args.source}: neither a file nor torchvision:NAME nor timm:NAME")
        if not args.weights:
            fail(f"{args.source} needs --weights: an untrained network is no model")
        if not args.config:
            fail(f"{args.source} needs --config CARD.json")
        return (kind, name), args.config
    if not source.is_file():
        fail(f"there is no {source}")
    if not args.config:
        fail(f"{source} needs --config CARD.json: a file of weights does not say what it is for")
    return ("torchscript", source), args.config


def load_network(torch, origin, weights, n_classes):
    kind, what = origin
    if kind == "torchscript":
        return torch.jit.load(str(what), map_location="cpu").eval()
    if kind == "torchvision":
        import torchvision
        if not hasattr(torchvision.models, what):
            fail(f"torchvision has no {what}")
        net = getattr(torchvision.models, what)(num_classes=n_classes)
    else:
        import timm
        net = timm.create_model(what, pretrained=False, num_classes=n_classes)
    state = torch.load(weights, map_location="cpu", weights_only=True)  # numbers, no program
    if isinstance(state, dict) and "state_dict" in state:
        state = state["state_dict"]
    net.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return net.eval()


def input_side(card):
    for step in card["transform"]:
        if step["name"] == "Resize":
            size = step["arguments"]["size"]
            return size if isinstance(size, int) else size[0]
    return card["patch_size_pixels"]


def normalisation(card):
    for step in card["transform"]:
        if step["name"] == "Normalize":
            return step["arguments"]["mean"], step["arguments"]["std"]
    return [0.0] * 3, [1.0] * 3


def export(torch, onnx, net, card, path, opset):
    side = input_side(card)
    example = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        out = net(example)
        if isinstance(out, (tuple, list)):
            fail(f"the network has {len(out)} outputs; a tile classifier has one")
        if tuple(out.shape) != (1, card["num_classes"]):
            fail(f"the network's output is {tuple(out.shape)}, the card has {card['num_classes']} classes")
        torch.onnx.export(net, example, str(path), opset_version=opset, input_names=["input"],
                          output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    onnx.checker.check_model(str(path))


def write_card(card, onnx_path, license_text):
    engine = card.setdefault("engine", {})
    engine["file"] = onnx_path.name
    engine["sha256"] = hashlib.sha256(onnx_path.read_bytes()).hexdigest()
    engine.setdefault("task", "tile-classification")
    if license_text:
        engine["license"] = license_text
    (onnx_path.parent / "config.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def microtome(program, *args):
    r = subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        fail(f"microtome {args[0]} ended with {r.returncode}: {r.stderr.strip().splitlines()[-1:]}")


def torch_scores(modules, net, card, tiles):
    """Probabilities of every tile by PyTorch: {(x, y): [p, ...]}."""
    numpy, _, image, torch = modules
    side = input_side(card)
    mean, std = (numpy.array(v, numpy.float32).reshape(3, 1, 1) for v in normalisation(card))
    scores = {}
    for path in sorted(tiles.glob("*.png")):
        with image.open(path) as picture:
            rgb = picture.convert("RGB")
            if rgb.size != (side, side):
                rgb = rgb.resize((side, side), image.BILINEAR)
            x = numpy.asarray(rgb, numpy.float32).transpose(2, 0, 1) / numpy.float32(255)
        with torch.no_grad():
            logits = net(torch.from_numpy((x - mean) / std)[None])[0]
        p = torch.sigmoid(logits) if card["num_classes"] == 1 else torch.softmax(logits, 0)
        at = tuple(int(v) for v in path.stem.split("_")[:2])
        scores[at] = p.tolist()
    return scores


def compare(modules, net, card, folder, program):
    """Largest difference of a probability, and on how many tiles."""
    with tempfile.TemporaryDirectory(prefix="microtome-import-") as tmp:
        work = pathlib.Path(tmp)
        mpp, px = card["spacing_um_px"], card["patch_size_pixels"]
        side = max(1024, int(px * 8))  # about sixty tiles
        microtome(program, "synth", "-o", work / "drawn.svs", "--size", f"{side}x{side}", "--mpp", mpp, "--seed", 7)
        common = ("--min-tissue", 0)
        microtome(program, "tiles", work / "drawn.svs", "-o", work / "tiles", "--format", "png", "--tile-px", px,
                  "--mpp", mpp, *common)
        microtome(program, "run", work / "drawn.svs", "-o", work / "out", "--model", folder, "--overlap", 0,
                  "--allow-out-of-scope", "compared with PyTorch", *common)
        theirs = torch_scores(modules, net, card, work / "tiles" / "drawn")
        worst, n = 0.0, 0
        with open(work / "out" / "model-outputs-csv" / "drawn.csv", encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f):
                p = theirs[(int(row["minx"]), int(row["miny"]))]
                ours = [float(row[f"prob_{c}"]) for c in card["class_names"]]
                worst = max(worst, *(abs(a - b) for a, b in zip(ours, p)))
                n += 1
        if n == 0 or n != len(theirs):
            fail(f"{n} tiles scored, {len(theirs)} cut: nothing to compare")
        return worst, n


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--config")
    p.add_argument("--weights")
    p.add_argument("--microtome", default="microtome")
    p.add_argument("--opset", type=int, default=17)
    p.add_argument("--license")
    args = p.parse_args()
    modules = load_modules()
    _, onnx, _, torch = modules
    origin, card_path = find_source(args)
    card = read_card(card_path)
    net = load_network(torch, origin, args.weights, card["num_classes"])
    folder = pathlib.Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    onnx_path = folder / "model.onnx"
    export(torch, onnx, net, card, onnx_path, args.opset)
    write_card(card, onnx_path, args.license)
    worst, n = compare(modules, net, card, folder, args.microtome)
    print(f"{folder}: {n} tiles, largest difference of a probability {worst:.2g}")
    if not worst <= TOLERANCE:
        fail(f"Microtome and PyTorch differ by {worst:.3g}, at most {TOLERANCE:g} is right; do not use {folder}")


if __name__ == "__main__":
    main()
