"""Figures 2 to 6 of Livieris et al. (2023): what speaks for and against a verdict, and cropping to it.

    make figures
    python -m experiments.livieris_figures --rows=flowers,skin,rooms

What you will see, for each data set of `experiments.livieris_table1` that is there: panels of test pairs, of one
class and of different ones, judged rightly and wrongly (figures 2, 3 and 4), a picture, its box and the crop (figure
5), a pair before and after cropping (figure 6). The models are those of the table, first split, trained now if they
are not there. Where the panels are written: `experiments.figures`.
"""

import keras
import numpy as np
from matplotlib.figure import Figure

from experiments import compare, data, figures, livieris, livieris_table1
from fsad import images
from fsad.explain import boxes, overlay


def draw(run):
    """The figures of one run by name."""
    record, arrays = run.load()
    models = livieris.kept(run.settings)
    if not (models / "original.keras").is_file():  # the record was kept, the models were not
        livieris.train(run.settings)
    dataset = data.load(run.settings["data"])
    model = keras.models.load_model(models / "original.keras")
    labels, output = np.array(record["test"]["label"]), np.array(record["test"]["original"])
    right, rows = (output > 0.5) == labels, arrays["rows"]
    found = {}
    # The first right and the first wrong verdict on pairs of one class, and of different classes.
    for name, wanted in (
        ("same", (labels == 0) & right),
        ("same_mistaken", (labels == 0) & ~right),
        ("different", (labels == 1) & right),
        ("different_mistaken", (labels == 1) & ~right),
    ):
        for k in np.flatnonzero(wanted)[:1]:
            found[f"pair_{name}"] = panel(model, [dataset.samples[row].path for row in rows[k]])
    cut = (arrays["cropped"][rows][..., 0] >= 0).all(1)
    for k in np.flatnonzero((labels == 0) & cut)[:1]:
        found["box"] = _cut(model, dataset, arrays, rows[k][0])
        scores = [output[k], record["test"]["cropped"][k]]
        found["cropped_pair"] = _before_and_after(dataset, arrays, rows[k], scores)
    return {f"livieris_{dataset.folder.resolve().name}_{name}": figure for name, figure in found.items()}


def panel(model, paths):
    """The panel of two picture files."""
    pair, found, title = compare.explain(model, paths)
    return overlay.pair_panel(*pair, found.factual[0], found.counterfactual[0], title)


def _cut(model, dataset, arrays, row):
    """Figure 5, by the factual map and by both signs: map and box of a picture against its partner, and the crop."""
    paths = [dataset.samples[k].path for k in (row, arrays["partner"][row])]
    pictures, maps, _ = compare.explain(model, paths, target="same")
    figure = Figure(figsize=(7.4, 5.1), layout="constrained")
    axes = figure.subplots(2, 3)
    ways = (("cropped", maps.factual, "factual map"), ("magnitude", maps.magnitude, "both signs of the map"))
    for line, (way, heats, name) in zip(axes, ways, strict=True):
        box = boxes.Box(*arrays[way][row].tolist())
        _show(line[0], pictures[0], f"{name}")
        _show(line[1], overlay.blend(pictures[0], heats[0, 0], top=1), "map and box")
        overlay.rectangle(line[1], box)
        _show(line[2], boxes.crop(pictures[0], box), "cropped")
    return figure


def _before_and_after(dataset, arrays, rows, scores):
    """Figure 6: a pair of one class, and the same cut to its boxes."""
    figure = Figure(figsize=(5.2, 5.4), layout="constrained")
    whole = [images.read(dataset.samples[row].path) for row in rows]
    found = [boxes.Box(*arrays["cropped"][row].tolist()) for row in rows]
    cropped = [boxes.crop(picture, box) for picture, box in zip(whole, found, strict=True)]
    for k, (line, pictures) in enumerate(zip(figure.subplots(2, 2), (whole, cropped), strict=True)):
        for axis, picture, box in zip(line, pictures, found, strict=True):
            _show(axis, picture)
            if not k:
                overlay.rectangle(axis, box)
        name = ("original", "cropped")[k]
        line[0].set_title(f"{name}: dissimilarity {scores[k]:.2f}", fontsize=9, loc="left")
    return figure


def _show(axis, picture, title=""):
    axis.imshow(picture)
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_xticks([])
    axis.set_yticks([])


if __name__ == "__main__":
    figures.main(livieris_table1.TABLE, livieris.train, livieris.check, draw)
