"""Figures 3 and 4 of Senarathna and Wijesinghe (2025): saliency of defective pictures, custom CNN.

    make figures
    python -m experiments.figures --data=/data/mvtec/leather,/data/marble

What you will see: a panel for each data set of Table III, one picture of each defect type, with score and
verdict. The models are those of Table III, first draw, trained now if they are not there. Panels of
synthetic pictures go to ``experiments/results``; those of other pictures to ``experiments/.cache/figures``,
which git ignores, since the pictures are not ours to publish.
"""

from pathlib import Path

from absl import app

from experiments import data, reports, senarathna, senarathna_table3, study
from fsad import datasets, images
from fsad.explain import overlay

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
    name = run.settings["data"].rstrip("/").split("/")[-1]
    kind = " (synthetic pictures)" if name.startswith("synthetic-") else ""
    return name, overlay.panel(examples, f"Saliency on {name}{kind}{measured}")


def main(_):
    runs = [run for run in study.plan(senarathna_table3.TABLE) if run.settings["seed"] == study.FLAGS.seed]
    study.make(runs, senarathna.train)
    for number, run in zip((3, 4), runs, strict=False):
        name, figure = panel(run)
        ours = name.startswith("synthetic-")
        out = Path(study.FLAGS.out) if ours else data.CACHE / "figures"
        path = out / f"senarathna_figure{number}{'' if ours else '_' + name}.png"
        overlay.save(figure, path)
        print(f"Written: {path}")


if __name__ == "__main__":
    study.define_flags()
    app.run(main)
