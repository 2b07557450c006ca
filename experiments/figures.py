"""What the figures of the three papers share: the first draw of each row of a table, drawn to files.

Panels of synthetic images go to ``experiments/results``; those of other images to ``experiments/.cache/figures``, which
git ignores, since the images are not ours to publish. After fewer epochs than declared a name ends in ``_trial``.
"""

import os
from pathlib import Path

from experiments import data, runner
from fsad import inputs, synthetic
from fsad.explain import overlay
from fsad.images import read_mask

MAX_KINDS = 7


def main(table, train, check, draw):
    """Makes the first run of each row of a table and writes its figures.

    Args:
        table, train, check: as in `experiments.runner.remake`.
        draw: ``run -> figures`` by file name without extension.
    """
    runner.run_main(lambda _: remake(table, train, check, draw))


def remake(table, train, check, draw):
    """`main` without the command around it."""
    runs = {}
    for run in runner.plan(table, train, check):
        if run.wanted and run.settings["seed"] == runner.FLAGS.seed:
            runs.setdefault(run.folder, run)  # rows may share a run
    runs = list(runs.values())
    if runner.FLAGS.dry_run:
        runner.show_plan(runs)
        return
    failures = runner.made(runs, train)
    for run in (run for run in runs if run.finished):
        drawn = synthetic.is_synthetic(data.resolve(run.settings["data"]))
        trial = "_trial" if run.settings["epochs"] < {**table.settings, **run.row.settings}["epochs"] else ""
        for name, figure in draw(run).items():
            path = Path(runner.FLAGS.out if drawn else data.CACHE / "figures") / f"{name}{trial}.png"
            overlay.save(figure, path)
            print(f"Written: {os.path.relpath(path)}")
    if failures:
        raise SystemExit(1)


def suffix(run, table):
    """``_<name>`` of a data set that is not the declared one, for the name of a file."""
    name, declared = run.settings["data"], {**table.settings, **run.row.settings}["data"]
    return "" if name == declared else f"_{data.resolve(name).resolve().name}"


def panel_by_kind(run, title, scores, verdicts, measured, **options):
    """A panel with the first test image of each defect type.

    Args:
        run: its arrays are ``maps`` and their ``rows`` among the test images.
        title: the kind of map.
        scores, verdicts: of the test images.
        measured: ``pixel_auroc`` of the maps and the number of ``images``, or None.
        options: of `fsad.explain.overlay.panel`.
    """
    record, arrays = run.load()
    folder, test = data.resolve(run.settings["data"]), record["test"]
    samples = {sample.path: sample for sample in inputs.load(folder).samples}
    firsts = {}
    for row, anomaly_map in zip(arrays["rows"], arrays["maps"], strict=True):
        firsts.setdefault(test["kind"][row], (row, anomaly_map))
    examples = []
    for kind, (row, anomaly_map) in sorted(firsts.items())[:MAX_KINDS]:
        sample = samples[folder / test["path"][row]]
        mask = read_mask(sample.mask) if sample.mask else None
        label = f"{kind}: score {scores[row]:.2f}, {verdicts[row]}"
        examples.append({"image": sample.read(), "anomaly_map": anomaly_map, "mask": mask, "title": label})
    title += f" on {folder.resolve().name}" + (" (synthetic images)" if synthetic.is_synthetic(folder) else "")
    if measured:
        title += f"; pixel AUROC {measured['pixel_auroc']:.2f} over {measured['images']} images"
    return overlay.panel(examples, title, **options)
