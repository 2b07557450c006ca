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
from fsad.explain.gradcam import gradcam


def draw(run):
    """The figures of one run by name."""
    record, _ = run.load()
    test, folder, models = record["test"], data.resolve(run.settings["data"]), livieris.kept(run.settings)
    model = keras.models.load_model(models / "original.keras")
    labels, output = np.array(test["label"]), np.array(test["original"])
    right = (output > 0.5) == labels
    found = {}
    # The first right and the first wrong verdict on pairs of one class, and of different classes.
    for name, wanted in (
        ("same", (labels == 0) & right),
        ("same_mistaken", (labels == 0) & ~right),
        ("different", (labels == 1) & right),
        ("different_mistaken", (labels == 1) & ~right),
    ):
        for k in np.flatnonzero(wanted)[:1]:
            pair = [folder / test[key][k] for key in ("path", "second")]
            found[f"pair_{name}"] = panel(model, pair)
    alike = np.flatnonzero((labels == 0) & (1 - output > run.settings["similarity"]))[:1]
    for k in alike:
        pair = [folder / test[key][k] for key in ("path", "second")]
        found["box"] = _cut(model, pair)
        crops = [(models / "cropped" / test[key][k]).with_suffix(".png") for key in ("path", "second")]
        scores = [output[k], test["cropped"][k]]
        found["cropped_pair"] = _before_and_after(pair, crops, scores)
    return {f"livieris_{folder.name}_{name}": figure for name, figure in found.items()}


def panel(model, paths):
    """The panel of two picture files."""
    pair = [images.read(path) for path in paths]
    found = gradcam(model, *(images.resize(picture, model.input_shape[0][1])[None] for picture in pair))
    title = compare.title_of(paths, found.output[0])
    return overlay.pair_panel(*pair, found.factual[0], found.counterfactual[0], title)


def _cut(model, pair):
    pictures = [images.read(path) for path in pair]
    inputs = [images.resize(p, model.input_shape[0][1])[None] for p in pictures]
    found = gradcam(model, *inputs, target="same")
    box = boxes.box(found.factual[0, 0], pictures[0].shape)
    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    axes = figure.subplots(1, 3)
    shown = (pictures[0], overlay.blend(pictures[0], found.factual[0, 0], top=1), boxes.crop(pictures[0], box))
    for axis, picture, name in zip(axes, shown, ("picture", "map and box", "cropped"), strict=True):
        axis.imshow(picture)
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_xticks([])
        axis.set_yticks([])
    overlay.rectangle(axes[1], box)
    return figure


def _before_and_after(pair, crops, scores):
    figure = Figure(figsize=(5.2, 5.4), layout="constrained")
    for row, paths, score, name in zip(
        figure.subplots(2, 2), (pair, crops), scores, ("original", "cropped"), strict=True
    ):
        for axis, path in zip(row, paths, strict=True):
            axis.imshow(images.read(path))
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_title(f"{name}: dissimilarity {score:.2f}", fontsize=9, loc="left")
    return figure


if __name__ == "__main__":
    figures.main(livieris_table1.TABLE, livieris.train, livieris.check, draw)
