"""How fast, beside every way to do it naively, and beside what the machine can do at best.

    python -m experiments.benchmark_speed                    # 40 minutes on two cores
    python -m experiments.benchmark_speed --quick --against  # 7 minutes, without VGG16: have the ratios moved?
    python -m experiments.benchmark_speed --sections=score,batch

What you will see: a table a section. Contenders of a section take turns, each in a process of its own; a figure is the
median of the turns. *Times* is the ratio to the first line, the naive way. *Limit* is the share of the machine's limit
reached: the least time for the arithmetic (matrix products at their best rate) and for reading the weights, divided by
the time taken. Pictures are synthetic metal, 256 x 256 PNG, and noise in training. Speed depends on neither.
Expected: ratios hold from machine to machine of one kind, times do not. Processors with AMX gain more from bfloat16.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from tqdm import tqdm

from experiments import cost, data, race, speed_limits
from experiments.machine import machine

RESULTS = Path(__file__).parent / "results" / "benchmark_speed.json"
MOVED = 0.25  # a ratio that differs by more than this share has moved


@dataclasses.dataclass(frozen=True)
class Section:
    """``what``: the unit of work; ``contenders``: name -> ``("module:function", arguments)``, the naive way first;
    ``files``: pictures a turn for those that score. Arguments that are ``FOLDER`` and ``PATHS`` are filled in."""

    title: str
    what: str
    contenders: dict
    rounds: int
    files: int = 1
    slow: bool = False


FOLDER, PATHS = "FOLDER/", "PATHS"


def _runtimes(recipe):
    ours = {
        f"fsad, {name}": ("speed_scoring:ours", (FOLDER + recipe, PATHS, name))
        for name in ("tensorflow", "onnx", "openvino", "openvino bfloat16")
    }
    return {"Keras predict on pairs": ("speed_scoring:naive", (FOLDER + recipe, PATHS))} | ours


def _torch(recipe):
    return {
        f"PyTorch, {kind}": ("speed_scoring:torch", (FOLDER + recipe, PATHS, kind)) for kind in ("float32", "bfloat16")
    }


def _explain(method):
    return {
        "a picture, its pairs": ("speed_scoring:explain", (FOLDER + "senarathna", PATHS, method, False)),
        "fsad": ("speed_scoring:explain", (FOLDER + "senarathna", PATHS, method, True)),
    }


def _training(name, ways):
    return {title: (f"speed_training:{name}", arguments) for title, arguments in ways.items()}


NAIVE = "Keras fit, two inputs, float32"
SECTIONS = {
    "score": Section("File to verdict, one picture, 8 references, custom CNN", "picture",
                     _runtimes("senarathna") | _torch("senarathna"), 11),
    "batch": Section("64 pictures in memory, 8 references, custom CNN", "picture",
                     _runtimes("senarathna") | _torch("senarathna"), 5, files=64),
    "score_patches": Section("File to verdict, one picture, 8 references, the Detector's default", "picture",
                             _runtimes("patches"), 11),
    "batch_patches": Section("64 pictures in memory, 8 references, the Detector's default", "picture",
                             _runtimes("patches"), 5, files=64),
    "train_s": Section("Training of paper S (custom CNN), an epoch", "pair", _training("senarathna", {
        NAIVE: ("naive",), "fsad, float32": ("ours float32",), "fsad": ("ours",)})
        | _training("senarathna_torch", {"PyTorch, float32": ("float32",), "PyTorch, bfloat16": ("bfloat16",)}), 5),
    "train_t": Section("Training of paper T (VGG16, attention, branch), all pairs of 120 pictures, a step", "pair",
                       _training("takimoto", {NAIVE: ("naive",), "fsad, 16 pairs a step": ("pairs",),
                                              "fsad, 40 pictures a step": ("pictures",),
                                              "fsad, 60 pictures a step": ("pictures", 60)}), 3, slow=True),
    "train_l_frozen": Section("Training of paper L, ResNet50 frozen, an epoch of 64 pairs", "pair",
                              _training("livieris", {NAIVE: ("naive", True), "fsad, features known": ("ours", True)}),
                              3),
    "features": Section("Features of ResNet50, which is what comes before", "picture", _training("features", {
        "fsad": ()}), 3),
    "train_l": Section("Training of paper L, ResNet50 fine-tuned, a step of 4 pairs", "pair",
                       _training("livieris", {NAIVE: ("naive", False), "fsad": ("ours", False)}), 3, slow=True),
    "saliency": Section("Pixel saliency, 16 pictures, 8 references, custom CNN", "map", _explain("saliency"), 5, 16),
    "gradcam": Section("Grad-CAM, 16 pictures, 8 references, custom CNN", "map", _explain("gradcam"), 5, 16),
}  # fmt: skip
FSAD = str(Path(sys.executable).with_name("fsad"))
STARTS = {
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    "import fsad": [sys.executable, "-c", "import fsad"],
    "fsad --help": [FSAD, "--help"],
    "fsad score, custom CNN: load and first score": [FSAD, "score", FOLDER + "senarathna", PATHS],
    "fsad score, default: load and first score": [FSAD, "score", FOLDER + "patches", PATHS],
}


def run(key, folder, paths, limits, quick):
    """One section: name -> a dict of figures, in order."""
    section = SECTIONS[key]
    files = paths[: section.files]
    contenders = {}
    for name, (target, arguments) in section.contenders.items():
        filled = [
            files if a == PATHS else a.replace(FOLDER, folder + os.sep) if isinstance(a, str) else a for a in arguments
        ]
        contenders[name] = (_Call(*target.split(":")), filled)
    rounds = min(3, section.rounds) if quick else section.rounds
    with tqdm(total=rounds * len(contenders), desc=key, unit="turn", leave=False) as bar:
        entries = race.race(contenders, rounds, lambda: bar.update(1))
    first = next(iter(entries.values()))
    told = next((entry for entry in entries.values() if "scores" in entry.facts), None)
    return {name: _figures(entry, first, told, section, limits) for name, entry in entries.items()}


class _Call:
    """A function by name, imported where it runs: ``--help`` starts no TensorFlow."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, *arguments):
        import importlib

        return getattr(importlib.import_module(f"experiments.{self.module}"), self.name)(*arguments)


def _figures(entry, first, told, section, limits):
    if entry.missing:
        return {"missing": entry.missing}
    facts = entry.facts
    found = {"seconds": entry.each, "spread": entry.spread, "megabytes": entry.megabytes}
    if first is not entry and not first.missing:
        found["times"] = first.each / entry.each
    if "scores" in facts and entry is not told:
        pairs = zip(facts["scores"], told.facts["scores"], strict=True)
        found["difference"] = max(abs(a - b) for a, b in pairs)
    if "ready_seconds" in facts:
        found["ready_seconds"] = facts["ready_seconds"]
    layers, arithmetic = facts.get("cost"), facts.get("arithmetic", "float32")
    if section.what == "pair" and facts["pictures"]:
        least = cost.training_seconds if facts["trained"] else cost.forward_seconds
        found["limit"] = least(layers, facts["pictures"], limits, arithmetic) / (entry.each * facts["pairs"])
    elif section.what == "picture" and layers:
        files = facts.get("pictures", section.files)
        passes = facts.get("passes", 1) * files
        found["limit"] = cost.forward_seconds(layers, passes, limits, arithmetic) / (entry.each * files)
    return found


def start_up(folder, paths, rounds):
    """Seconds of whole commands, in turns."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    times = {name: [] for name in STARTS}
    for _ in tqdm(range(rounds + 1), desc="start", unit="turn", leave=False):
        for name, command in STARTS.items():
            command = [paths[0] if c == PATHS else c.replace(FOLDER, folder + os.sep) for c in command]
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=quiet)
            times[name].append(time.perf_counter() - begun)
    return {name: {"seconds": float(np.median(seconds[1:]))} for name, seconds in times.items()}


def page(found):
    """The tables, in Markdown."""
    limits = found["limits"]
    lines = [
        "# Speed",
        "",
        f"Written by `python -m experiments.benchmark_speed` on {found['machine']}. Contenders took turns, each in a "
        "process of its own; median, ± half the distance of the quartiles. *Times*: ratio to the first line, which is "
        "the naive way. *Limit*: share of what the machine can do at best, for the arithmetic named (fsad trains in "
        f"{found['training']}). *Scores*: largest difference from the first line; from the second for the default, "
        "whose score is not one of pairs.",
        "",
        f"The machine's limits: matrix products {limits['float32_flops'] / 1e9:.0f} GFLOP/s in float32, "
        f"{limits['bfloat16_flops'] / 1e9:.0f} in bfloat16; memory {limits['bytes_per_second'] / 1e9:.1f} GB/s; JPEG "
        f"decoding {limits['jpeg_pixels_per_second'] / 1e6:.0f} megapixels/s.",
    ]
    for key, rows in found["sections"].items():
        if key == "start":
            lines += ["", "## Start-up, whole commands", "", "| | seconds |", "| --- | --- |"]
            lines += [f"| {name} | {row['seconds']:.2f} |" for name, row in rows.items()]
            continue
        section = SECTIONS[key]
        lines += ["", f"## {section.title}", ""]
        lines += [f"| | ms a {section.what} | {section.what}s/s | times | limit | peak memory | scores |",
                  "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for name, row in rows.items():
            if "missing" in row:
                lines.append(f"| {name} | not run: {row['missing']} | | | | | |")
                continue
            cells = [f"{1000 * row['seconds']:.3g} ± {100 * row['spread']:.0f} %", f"{1 / row['seconds']:.3g}",
                     f"{row['times']:.1f}" if "times" in row else "1",
                     f"{100 * row['limit']:.0f} %" if "limit" in row else "–",
                     f"{row['megabytes']:,.0f} MB",
                     f"{row['difference']:.0e}" if "difference" in row else "–"]  # fmt: skip
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def moved(found, before):
    """Lines on the ratios that differ from those committed, and whether any fell."""
    lines, fell = [], False
    for key, rows in found["sections"].items():
        for name, row in rows.items():
            old = before["sections"].get(key, {}).get(name, {}).get("times")
            if "times" not in row or old is None:
                continue
            change = row["times"] / old - 1
            if abs(change) > MOVED:
                fell |= change < 0
                lines.append(f"{SECTIONS[key].title}; {name}: {old:.1f} times before, {row['times']:.1f} now")
    return lines or [f"No ratio moved by more than {MOVED:.0%}."], fell


def main(_):
    options = flags.FLAGS
    if unknown := set(options.sections or ()) - {*SECTIONS, "start"}:
        raise app.UsageError(f"Expected --sections among {', '.join(SECTIONS)}, start. Received: {sorted(unknown)}")
    chosen = options.sections or [key for key in (*SECTIONS, "start") if not (options.quick and key in _SLOW)]
    out = Path(options.json) if options.json else None if options.against else RESULTS
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else None
    if options.against and before is None:
        raise app.UsageError(f"Expected the committed figures in {RESULTS} to compare with. Received: no such file")
    found = {"sections": {}}
    if options.sections and out and out.exists():  # the others stay
        found = json.loads(out.read_text())
    with tempfile.TemporaryDirectory() as folder:
        pictures = data.resolve("synthetic-metal")
        paths = [str(path) for path in sorted(Path(pictures).glob("test/*/*.png"))[:64]]
        (limits,) = race.race({"limits": (speed_limits.measure, ())}, 1).values()
        prepared = race.race({"fit": (_Call("speed_scoring", "prepare"), (str(pictures), folder))}, 1)["fit"]
        if limits.missing or prepared.missing:
            raise RuntimeError(limits.missing or prepared.missing)
        found |= {"machine": machine(), "training": limits.facts.pop("training"), "limits": limits.facts}
        for key in chosen:
            rows = (
                start_up(folder, paths, 3 if options.quick else 7)
                if key == "start"
                else run(key, folder, paths, limits.facts, options.quick)
            )
            found["sections"][key] = rows
            if out:
                _write(out, found)
    print(page(found))
    if options.against:
        lines, fell = moved(found, before)
        print("\n".join(lines))
        if before["machine"] != found["machine"]:
            print(f"The committed figures are of another machine: {before['machine']}.")
        elif fell:
            sys.exit(1)
    if out:
        print(f"Written: {os.path.relpath(out)} and {os.path.relpath(out.with_suffix('.md'))}")


_SLOW = {key for key, section in SECTIONS.items() if section.slow}


def _write(out, found):
    from fsad import storage

    order = (*SECTIONS, "start")
    found["sections"] = {key: found["sections"][key] for key in order if key in found["sections"]}
    storage.write(out, (json.dumps(found, indent=1) + "\n").encode())
    storage.write(out.with_suffix(".md"), page(found).encode())


if __name__ == "__main__":
    flags.DEFINE_string("json", None, f"file for the figures, tables beside it (default {RESULTS.name} in results/)")
    flags.DEFINE_bool("quick", False, "fewer turns, without VGG16 and fine-tuning")
    flags.DEFINE_bool("against", False, "compare the ratios with the committed ones; writes nothing unless --json")
    flags.DEFINE_list("sections", None, "only these, the others stay as they are")
    app.run(main)
