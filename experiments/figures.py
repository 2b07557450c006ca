"""Figures 3 and 4 of Senarathna and Wijesinghe (2025): saliency of defective pictures, custom CNN.

    make figures
    python -m experiments.figures --data=/data/mvtec/leather,/data/marble

What you will see: a panel for each data set of Table III, one picture of each defect type, with score and
verdict. The models are those of Table III, first draw, trained now if they are not there. Panels of
synthetic pictures go to ``experiments/results``; those of other pictures to ``experiments/.cache/figures``,
which git ignores, since the pictures are not ours to publish.
"""

import os
from pathlib import Path

from experiments import data, reports, senarathna, senarathna_table3, study
from fsad import datasets, images, synthetic
from fsad.explain import overlay

NUMBER = {"mvtec": 3, "marble": 4}  # figure of each row of Table III
LIMIT = 7


def panel(run):
    """The panel of one run: the first test picture of each defect type."""
    record, arrays = run.load()
    folder, test = data.resolve(run.settings["data"]), record["test"]
    masks = {s.path: s.mask for s in datasets.load(folder).samples}
    firsts = {}
    for position, row in enumerate(arrays["rows"]):
        firsts.setdefault(test["kind"][row], (position, row))
    examples = []
    for kind, (position, row) in sorted(firsts.items())[:LIMIT]:
        score = test[reports.REDUCTION][row]
        verdict = "different" if score > reports.THRESHOLD else "same"
        path = folder / test["path"][row]
        picture, mask = images.read(path), images.read_mask(masks[path]) if masks[path] else None
        title = f"{kind}: score {score:.2f}, {verdict}"
        examples.append({"picture": picture, "heat": arrays["maps"][position], "mask": mask, "title": title})
    area = record["saliency"]["pixel_auroc"]
    measured = "" if area is None else f"; pixel AUROC {area:.2f} over {record['saliency']['pictures']} pictures"
    ours = " (synthetic pictures)" if synthetic.is_synthetic(folder) else ""
    return overlay.panel(examples, f"Saliency on {folder.resolve().name}{ours}{measured}")


def main(_):
    planned = study.plan(senarathna_table3.TABLE, senarathna.train, senarathna.check)
    runs = [run for run in planned if run.wanted and run.settings["seed"] == study.FLAGS.seed]
    if study.FLAGS.dry_run:
        for run in runs:
            print(f"{'finished' if run.finished else 'to run  '}  {run.row.title}: {run.settings['data']}")
        return
    failed = study.make(runs, senarathna.train)
    for run in (run for run in runs if run.finished):
        folder = data.resolve(run.settings["data"])
        # Pictures that are not ours are not ours to publish.
        ours = synthetic.is_synthetic(folder)
        out = Path(study.FLAGS.out) if ours else data.CACHE / "figures"
        name = f"senarathna_figure{NUMBER[run.row.key]}"
        path = out / (
            f"{name}.png" if run.settings["data"] == run.row.settings["data"] else f"{name}_{folder.name}.png"
        )
        overlay.save(panel(run), path)
        print(f"Written: {os.path.relpath(path)}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    study.define_flags(senarathna_table3.TABLE)
    study.run_main(main)
