"""How fast, beside baselines and beside what the machine can do at best.

    python -m experiments.benchmarks.speed                    # 40 minutes on two cores
    python -m experiments.benchmarks.speed --quick --against  # 7 minutes, without VGG16: have the ratios moved?
    python -m experiments.benchmarks.speed --sections=score,batch

What you will see: a table per section. The implementations of a section run interleaved, each in a process of its own;
a figure is the median of the turns. *Ratio* is to the first line, the baseline. *Limit* is the fraction of the
machine's limit reached: the least time for the arithmetic (matrix products at their best rate) and for reading the
weights, divided by the time taken. Images are synthetic metal, 256 x 256 PNG, and noise in training. Speed depends on
neither. Expected: ratios hold from machine to machine of one kind, times do not. Processors with AMX gain more from
bfloat16.
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
from absl import flags
from tqdm import tqdm

from experiments import data, runner
from experiments.benchmarks import limits, race, scoring
from experiments.page import machine
from fsad.files import atomic_file

RESULTS = runner.ROOT / "results" / "benchmark_speed.json"
SUMMARY = runner.ROOT.parent / "docs" / "speed.md"
PAGES = {
    "benchmark_pipeline": "From files to scores: where the time goes",
    "benchmark_start": "Start to first score",
    "benchmark_peers": "Beside anomalib's PatchCore",
    "benchmark_scale": "The cost of scoring, by number",
    "benchmark_serve": "The server under load",
    "benchmark_watch": "Memory of `fsad watch`",
    "benchmark_large": "Large images",
}
START = "Start-up, whole commands"
MOVED = 0.25  # a ratio that differs by more than this fraction has moved
FOLDER, PATHS = "FOLDER/", "PATHS"


@dataclasses.dataclass(frozen=True)
class Section:
    """``what``: the unit of work; ``contenders``: name -> ``(module:function, arguments)``, the baseline first;
    ``files``: images per turn for those that score. Arguments that are ``FOLDER`` and ``PATHS`` are filled in."""

    title: str
    what: str
    contenders: dict
    rounds: int
    files: int = 1
    slow: bool = False


def _runtimes(recipe):
    names = ("tensorflow", "onnx", "openvino", "openvino bfloat16")
    by_name = {f"fsad, {name}": ("scoring:fsad_scores", (FOLDER + recipe, PATHS, name)) for name in names}
    return {"Keras predict on pairs": ("scoring:baseline", (FOLDER + recipe, PATHS))} | by_name


def _files(recipe):
    names = ("tensorflow", "onnx", "openvino")
    return {f"fsad, {name}": ("scoring:fsad_files", (FOLDER + recipe, PATHS, name)) for name in names}


def _torch(recipe):
    arithmetics = ("float32", "bfloat16")
    return {f"PyTorch, {kind}": ("scoring:torch_scores", (FOLDER + recipe, PATHS, kind)) for kind in arithmetics}


def _explain(method):
    arguments = {"one image, its pairs": False, "fsad": True}
    return {n: ("scoring:explain", (FOLDER + "senarathna", PATHS, method, b)) for n, b in arguments.items()}


def _training(name, ways):
    return {title: (f"training:{name}", arguments) for title, arguments in ways.items()}


KERAS = "Keras fit, two inputs, float32"
SECTIONS = {
    "score": Section("File to verdict, one image, 8 references, custom CNN", "image",
                     _runtimes("senarathna") | _torch("senarathna"), 11),
    "batch": Section("64 images in memory, 8 references, custom CNN", "image",
                     _runtimes("senarathna") | _torch("senarathna"), 5, files=64),
    "score_patches": Section("File to verdict, one image, 8 references, the Detector's default", "image",
                             _runtimes("patches"), 11),
    "batch_patches": Section("64 images in memory, 8 references, the Detector's default", "image",
                             _runtimes("patches"), 5, files=64),
    "files_patches": Section("64 files to predictions, 8 references, the Detector's default", "image",
                             _files("patches"), 5, files=64),
    "train_s": Section("Training of paper S (custom CNN), an epoch", "pair", _training("senarathna", {
        KERAS: ("baseline",), "fsad, float32": ("fsad float32",), "fsad": ("fsad",)})
        | _training("senarathna_torch", {"PyTorch, float32": ("float32",), "PyTorch, bfloat16": ("bfloat16",)}), 5),
    "train_t": Section("Training of paper T (VGG16, attention, branch), all pairs of 120 images, a step", "pair",
                       _training("takimoto", {KERAS: ("baseline",), "fsad, 16 pairs per step": ("pairs",),
                                              "fsad, 40 images per step": ("images",),
                                              "fsad, 60 images per step": ("images", 60)}), 3, slow=True),
    "train_l_frozen": Section("Training of paper L, ResNet50 frozen, an epoch of 64 pairs", "pair",
                              _training("livieris", {KERAS: ("baseline", True),
                                                     "fsad, features cached": ("fsad", True)}), 3),
    "features": Section("Features of ResNet50, which is what comes before", "image", _training("features", {
        "fsad": ()}), 3),
    "train_l": Section("Training of paper L, ResNet50 fine-tuned, a step of 4 pairs", "pair",
                       _training("livieris", {KERAS: ("baseline", False), "fsad": ("fsad", False)}), 3, slow=True),
    "saliency": Section("Pixel saliency, 16 images, 8 references, custom CNN", "map", _explain("saliency"), 5, 16),
    "gradcam": Section("Grad-CAM, 16 images, 8 references, custom CNN", "map", _explain("gradcam"), 5, 16),
}  # fmt: skip
FSAD = str(Path(sys.executable).with_name("fsad"))
TENSORFLOW = "import tensorflow"
GOOD, DEFECTIVE = "GOOD", "DEFECTIVE"
STARTS = {
    TENSORFLOW: [sys.executable, "-c", TENSORFLOW],
    "import fsad": [sys.executable, "-c", "import fsad"],
    "fsad --help": [FSAD, "--help"],
    "fsad score of one image, default, without a graph": [FSAD, "score", FOLDER + scoring.WITHOUT_GRAPH, PATHS],
    "fsad score of one image, default": [FSAD, "score", FOLDER + "patches", PATHS],
    "fsad score of one image, custom CNN": [FSAD, "score", FOLDER + "senarathna", PATHS],
    "fsad fit of 16 + 8 images, and a report on 8": [
        FSAD,
        "fit",
        GOOD,
        DEFECTIVE,
        "--out=" + FOLDER + "fitted",
        "--inspect=" + PATHS,
        "--report=" + FOLDER + "r.html",
    ],
}
BASES = {  # what the others are compared with
    "fsad score of one image, default": "fsad score of one image, default, without a graph",
    "fsad score of one image, custom CNN": "fsad score of one image, default, without a graph",
    "fsad fit of 16 + 8 images, and a report on 8": TENSORFLOW,
}


def run(key, folder, paths, machine_limits, quick):
    """One section: name -> a dict of figures, in order."""
    section, contenders = SECTIONS[key], {}
    filling = {PATHS: paths[: section.files], **{FOLDER + r: str(Path(folder, r)) for r in ("senarathna", "patches")}}
    for name, (target, arguments) in section.contenders.items():
        contenders[name] = (f"experiments.benchmarks.{target}", [filling.get(a, a) for a in arguments])
    rounds = min(3, section.rounds) if quick else section.rounds
    with tqdm(total=rounds * len(contenders), desc=key, unit="turn", leave=False) as bar:
        entries = race.race(contenders, rounds, lambda: bar.update(1))
    first = next(iter(entries.values()))
    scored = next((entry for entry in entries.values() if "scores" in entry.facts), None)
    return {name: _figures(entry, first, scored, section, machine_limits) for name, entry in entries.items()}


def _figures(entry, first, scored, section, machine_limits):
    if entry.missing:
        return {"missing": entry.missing}
    facts = entry.facts
    figures = {"seconds": entry.each, "spread": entry.spread, "megabytes": entry.megabytes}
    if first is not entry and not first.missing:
        figures["times"] = first.each / entry.each
    if "scores" in facts and entry is not scored:
        figures["difference"] = float(np.abs(np.subtract(facts["scores"], scored.facts["scores"])).max())
    if "ready_seconds" in facts:
        figures["ready_seconds"] = facts["ready_seconds"]
    cost, arithmetic = facts.get("cost"), facts.get("arithmetic", "float32")
    if section.what == "pair" and facts["images"]:
        least = limits.training_seconds if facts["trained"] else limits.forward_seconds
        figures["limit"] = least(cost, facts["images"], machine_limits, arithmetic) / (entry.each * facts["pairs"])
    elif section.what == "image" and cost:
        files = facts.get("images", section.files)
        passes = facts.get("passes", 1) * files
        figures["limit"] = limits.forward_seconds(cost, passes, machine_limits, arithmetic) / (entry.each * files)
    return figures


def start_up(folder, images, paths, rounds):
    """Seconds of whole commands, interleaved."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    times = {name: [] for name in STARTS}
    good = [f"--good={path}" for path in sorted(Path(images).glob("train/good/*.png"))[:16]]
    some = {
        PATHS: paths[:1],
        GOOD: good,
        DEFECTIVE: [f"--defect={path}" for path in paths[1:9]],
        "--inspect=" + PATHS: [f"--inspect={path}" for path in paths[9:17]],
    }
    for _ in tqdm(range(rounds + 1), desc="start", unit="turn", leave=False):
        for name, command in STARTS.items():
            command = [word for c in command for word in some.get(c, [c.replace(FOLDER, folder + os.sep)])]
            begun = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=quiet)
            times[name].append(time.perf_counter() - begun)
    seconds = {name: np.array(found[1:]) for name, found in times.items()}
    rows = {name: {"seconds": float(np.median(found))} for name, found in seconds.items()}
    for name, base in BASES.items():
        rows[name]["times"] = float(np.median(seconds[base] / seconds[name]))
    return rows


def page(result):
    """The tables, in Markdown."""
    best, machines = result["limits"], result.get("machines", {})
    lines = [
        "# Speed",
        "",
        f"Written by `python -m experiments.benchmarks.speed` on {result['machine']}. Implementations ran interleaved, "
        "each in a process of its own; median, ± half the distance of the quartiles. *Ratio*: to the first line, the "
        "baseline. *Limit*: fraction of what the machine can do at best, for the arithmetic named (fsad trains in "
        f"{result['training']}). *Scores*: largest difference from the first line; from the second for the default, "
        "whose score is not one of pairs.",
        "",
        f"The machine's limits: matrix products {best['float32_flops'] / 1e9:.0f} GFLOP/s in float32, "
        f"{best['bfloat16_flops'] / 1e9:.0f} in bfloat16; memory {best['bytes_per_second'] / 1e9:.1f} GB/s; JPEG "
        f"decoding {best['jpeg_pixels_per_second'] / 1e6:.0f} megapixels/s.",
    ]
    for key, rows in result["sections"].items():
        if key == "start":
            lines += ["", f"## {START}", ""]
            lines += [f"Measured on {machines[key]}.", ""] if key in machines else []
            lines += ["| | seconds | times as fast | as |", "| --- | --- | --- | --- |"]
            for name, row in rows.items():
                ratio = (f"{row['times']:.2g}", BASES[name]) if "times" in row else ("", "")
                lines.append(f"| {name} | {row['seconds']:.2f} | {ratio[0]} | {ratio[1]} |")
            continue
        section = SECTIONS[key]
        lines += ["", f"## {section.title}", ""]
        lines += [f"Measured on {machines[key]}.", ""] if key in machines else []
        lines += [f"| | ms per {section.what} | {section.what}s/s | ratio | limit | peak memory | scores |"]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
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


def moved(result, before):
    """Lines on the ratios that differ from those committed, and whether any fell."""
    lines, fell = [], False
    for key, rows in result["sections"].items():
        for name, row in rows.items():
            old = before["sections"].get(key, {}).get(name, {}).get("times")
            if "times" not in row or old is None:
                continue
            change = row["times"] / old - 1
            if abs(change) > MOVED:
                fell |= change < 0
                lines.append(f"{title_of(key)}; {name}: ratio {old:.2g} before, {row['times']:.2g} now")
    return lines or [f"No ratio moved by more than {MOVED:.0%}."], fell


def title_of(key):
    return START if key == "start" else SECTIONS[key].title


def summary(before, result):
    """docs/speed.md: the committed ratios, and those of the last `make bench`."""
    lines = [
        "# Speed",
        "",
        "For those who decide by speed. Each ratio is to an implementation that ran beside it, in turns, in one run. "
        "Times differ from machine to machine; ratios less so, and more on machines of other kinds.",
        "",
        f"Written by `make bench`, which compares the committed ratios ({before['machine']}; "
        "[all figures](../experiments/results/benchmark_speed.md)) with those of a short run "
        f"({result['machine']}).",
        "",
        "| what | | times as fast as | committed | last `make bench` |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, rows in before["sections"].items():
        base = next(iter(rows))
        for name, row in rows.items():
            if "times" in row:
                now = result["sections"].get(key, {}).get(name, {}).get("times")
                cells = [title_of(key), name, BASES[name] if key == "start" else base, f"{row['times']:.2g}"]
                lines.append("| " + " | ".join([*cells, "–" if now is None else f"{now:.2g}"]) + " |")
    lines += [
        "",
        "More, each by one command, which its page names:",
        "",
        *(
            f"- [{title}](../experiments/results/{name}.md)"
            for name, title in PAGES.items()
            if RESULTS.with_name(f"{name}.md").is_file()
        ),
    ]
    return "\n".join(lines) + "\n"


def main(_):
    options, every = flags.FLAGS, (*SECTIONS, "start")
    if unknown := set(options.sections or ()) - set(every):
        raise ValueError(f"Expected --sections among {', '.join(every)}. Received: {', '.join(sorted(unknown))}")
    chosen = options.sections or [k for k in every if not (options.quick and k in SECTIONS and SECTIONS[k].slow)]
    out = Path(options.json) if options.json else None if options.against else RESULTS
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else None
    if options.against and before is None:
        raise FileNotFoundError(f"Expected the committed figures in {RESULTS} to compare with. Received: no such file")
    result = {"sections": {}}
    if options.sections and out and out.exists():  # the others stay
        result = json.loads(out.read_text())
    with tempfile.TemporaryDirectory() as folder:
        images = data.resolve("synthetic-metal")
        paths = [str(path) for path in sorted(Path(images).glob("test/*/*.png"))[:64]]
        best = race.alone(limits.measure)
        race.alone(scoring.prepare, str(images), folder)
        result |= {"machine": machine(), "training": best.pop("training"), "limits": best}
        for key in chosen:
            rows = (
                start_up(folder, images, paths, 3 if options.quick else 7)
                if key == "start"
                else run(key, folder, paths, best, options.quick)
            )
            result["sections"][key] = rows
            if options.sections:  # those that stay may be of another machine
                result.setdefault("machines", {})[key] = machine()
            if out:
                result["sections"] = {k: result["sections"][k] for k in every if k in result["sections"]}
                write(out, result, page(result))
    print(page(result))
    if options.against:
        with atomic_file(SUMMARY, "w") as file:
            file.write(summary(before, result))
        lines, fell = moved(result, before)
        print("\n".join(lines))
        if before["machine"] != result["machine"]:
            print(f"The committed figures are of another machine: {before['machine']}.")
        elif fell:
            sys.exit(1)
    if out:
        print(f"Written: {os.path.relpath(out)} and {os.path.relpath(out.with_suffix('.md'))}")


def write(path, result, text):
    """A result as JSON, and its page beside it."""
    for target, content in ((path, json.dumps(result, indent=1) + "\n"), (path.with_suffix(".md"), text)):
        with atomic_file(target, "w") as file:
            file.write(content)


if __name__ == "__main__":
    flags.DEFINE_string("json", None, f"file for the figures, tables beside it (default {RESULTS.name} in results/)")
    flags.DEFINE_bool("quick", False, "fewer turns, without VGG16 and fine-tuning")
    flags.DEFINE_bool("against", False, "compare the ratios with the committed ones; writes nothing unless --json")
    flags.DEFINE_list("sections", None, "only these, the others stay as they are")
    runner.run_main(main)
