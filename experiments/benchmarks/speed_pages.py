"""The page of all figures of `experiments.benchmarks.speed`, and the short one in docs/."""

from experiments import runner
from experiments.benchmarks.contenders import BASES, SECTIONS, START, title_of

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


MOVED = 0.25  # a ratio that differs by more than this fraction has moved


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
