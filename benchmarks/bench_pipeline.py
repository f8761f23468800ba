#!/usr/bin/python3
"""A slide from file to heatmap, in turns with the ways others go: a table as text, and as JSON.

  bench_pipeline.py SLIDE --model DIR [--int8 DIR] [--torchscript FILE.pt] [--onnxruntime FILE.so]
                    [--microtome PROGRAM] [--threads N] [--rounds N] [--json FILE]

Every round runs, one after the other: Microtome (and its network alone, and the int8 model when given), Microtome
with ONNX Runtime as engine, and PyTorch behind OpenSlide and a DataLoader in each of its forms, of which the best
counts. Rates are tiles a second by the clock and by CPU time; ratios are taken within a round.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEER = pathlib.Path(__file__).resolve().parent / "peers" / "torch_pipeline.py"


def output_of(command):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        sys.exit(f"bench_pipeline: {' '.join(str(c) for c in command[:3])} ... ended with {r.returncode}:\n{r.stderr}")
    return r.stdout


def measure(a, model, *more):
    return json.loads(output_of([a.microtome, "bench", "pipeline", a.slide, "--model", model, "--threads", a.threads,
                                 "--rounds", 1, "--json", *more]))


def torch_forms(a):
    """Forms worth trying on so many cores: workers read beside the network, or the network has all of them."""
    for form in ("eager", "freeze", "optimize"):
        for workers in (0, a.threads):
            yield form, workers


def torch_round(a, tiles, card):
    best = None
    for form, workers in a.forms:
        norm = next((s["arguments"] for s in card["transform"] if s["name"] == "Normalize"), None)
        side = next((s["arguments"]["size"] for s in card["transform"] if s["name"] == "Resize"), card["patch_size_pixels"])
        command = [sys.executable, PEER, a.slide, tiles, a.torchscript, "--form", form, "--workers", workers,
                   "--threads", a.threads, "--side", side]
        if norm:
            command += ["--mean", *norm["mean"], "--std", *norm["std"]]
        got = json.loads(output_of(command))
        if best is None or got["tiles_per_s"] > best["tiles_per_s"]:
            best = got
    return best


def boxes(a, folder):
    """The tiles of the run, for the peer."""
    output_of([a.microtome, "run", a.slide, "-o", folder, "--model", a.model, "--threads", a.threads,
               "--allow-out-of-scope", "measured, not read"])
    return next((folder / "model-outputs-csv").glob("*.csv"))


def spread(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("slide")
    p.add_argument("--model", required=True)
    p.add_argument("--int8")
    p.add_argument("--torchscript")
    p.add_argument("--onnxruntime")
    p.add_argument("--microtome", default="microtome")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json")
    a = p.parse_args()
    a.forms = list(torch_forms(a))
    rows = {}

    def put(name, by_time, by_cpu):
        rows.setdefault(name, {"tiles_per_s": [], "tiles_per_cpu_s": []})
        rows[name]["tiles_per_s"].append(by_time)
        rows[name]["tiles_per_cpu_s"].append(by_cpu)

    def put_run(name, j):
        put(name, j["run"]["tiles_per_s"], j["run"]["tiles_per_cpu_s"])
        put(name + ", network alone", j["network"]["tiles_per_s"], j["network"]["tiles_per_cpu_s"])

    with tempfile.TemporaryDirectory(prefix="microtome-bench-") as tmp:
        tiles = boxes(a, pathlib.Path(tmp))
        card = json.loads((pathlib.Path(a.model) / "config.json").read_text(encoding="utf-8"))
        for _ in range(a.rounds):
            put_run("fp32", measure(a, a.model))
            if a.int8:
                put_run("int8", measure(a, a.int8))
            if a.onnxruntime:
                put_run("onnxruntime", measure(a, a.model, "--engine", "onnxruntime", "--onnxruntime-lib",
                                               a.onnxruntime))
            if a.torchscript:
                best = torch_round(a, tiles, card)
                put("torch, best form", best["tiles_per_s"], best["tiles_per_cpu_s"])
                if a.rounds > 1 and len(a.forms) > 1:  # the first round has told which form it is
                    a.forms = [(best["form"], best["workers"])]
    ratios = {}
    for name in ("fp32", "int8"):
        for peer in (name + ", network alone", "onnxruntime", "torch, best form"):
            if name in rows and peer in rows:
                for unit in ("tiles_per_s", "tiles_per_cpu_s"):
                    ratios.setdefault(f"{name} / {peer}", {})[unit] = [
                        x / y for x, y in zip(rows[name][unit], rows[peer][unit])]
    print("| way | tiles per second | tiles per CPU second |\n|---|---|---|")
    for name, r in rows.items():
        print(f"| {name} | {spread(r['tiles_per_s'])} | {spread(r['tiles_per_cpu_s'])} |")
    print("\n| ratio | by the clock | by CPU time |\n|---|---|---|")
    for name, r in ratios.items():
        print(f"| {name} | {spread(r['tiles_per_s'])} | {spread(r['tiles_per_cpu_s'])} |")
    if a.torchscript:
        print(f"\nbest form of PyTorch: {a.forms[0][0]}, {a.forms[0][1]} workers")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps({"threads": a.threads, "rounds": a.rounds, "rows": rows,
                                                    "ratios": ratios}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
