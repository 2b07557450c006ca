"""How fast, beside baselines and beside what the machine can do at best.

    python -m experiments.benchmarks.speed                    # 40 minutes on two cores
    python -m experiments.benchmarks.speed --quick --against  # fewer sections, 16 minutes: have the ratios moved?
    python -m experiments.benchmarks.speed --sections=score,batch

What you will see: a table per section. The implementations of a section run interleaved, each in a process of its own;
a figure is the median of the turns. *Ratio* is to the first line, the baseline. *Limit* is the fraction of the
machine's limit reached: the least time for the arithmetic (matrix products at their best rate) and for reading the
weights, divided by the time taken. Images are synthetic metal, 256 x 256 PNG, and noise in training. Speed depends on
neither. Expected: ratios hold from machine to machine of one kind, times do not. Processors with AMX gain more from
bfloat16.
"""

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
from experiments.benchmarks.contenders import BASES, DEFECTIVE, FOLDER, GOOD, PATHS, PYTORCH, SECTIONS, STARTS
from experiments.benchmarks.speed_pages import RESULTS, SUMMARY, moved, page, summary
from experiments.page import machine, write_text
from fsad.files import atomic_file


def run(key, folder, paths, machine_limits, quick):
    """One section: name -> a dict of figures, in order."""
    section, contenders = SECTIONS[key], {}
    filling = {PATHS: paths[: section.files], **{FOLDER + r: str(Path(folder, r)) for r in ("senarathna", "patches")}}
    for name, (target, arguments) in section.contenders.items():
        if quick and name.startswith(PYTORCH):
            continue
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
    seconds = {name: np.array(turns[1:]) for name, turns in times.items()}
    rows = {name: {"seconds": float(np.median(turns))} for name, turns in seconds.items()}
    for name, base in BASES.items():
        rows[name]["times"] = float(np.median(seconds[base] / seconds[name]))
    return rows


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
                start_up(folder, images, paths, 2 if options.quick else 7)
                if key == "start"
                else run(key, folder, paths, best, options.quick)
            )
            result["sections"][key] = rows
            if options.sections:  # those that stay may be of another machine
                result.setdefault("machines", {})[key] = machine()
            if out:
                result["sections"] = {k: result["sections"][k] for k in every if k in result["sections"]}
                write_text(out, result, page(result))
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


if __name__ == "__main__":
    flags.DEFINE_string("json", None, f"file for the figures, tables beside it (default {RESULTS.name} in results/)")
    flags.DEFINE_bool("quick", False, "fewer turns, and a section or two of each kind")
    flags.DEFINE_bool("against", False, "compare the ratios with the committed ones; writes nothing unless --json")
    flags.DEFINE_list("sections", None, "only these, the others stay as they are")
    runner.run_main(main)
