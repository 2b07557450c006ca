"""Figures 2 to 6 of Livieris et al. (2023): what speaks for and against a verdict, and cropping to it.

    make figures
    python -m experiments.livieris.figures --rows=flowers,skin,rooms

What you will see, for each data set of `experiments.livieris.table1` that is there: panels of test pairs, of one class
and of different ones, with right and wrong verdicts (Figures 2, 3 and 4), an image, its box and the crop (Figure 5), a
pair before and after cropping (Figure 6). `experiments.figures` says where. The models are those of the table, first
split; minutes per data set if they are not there yet.
"""

import keras
import numpy as np
from matplotlib.figure import Figure

from experiments import data, figures
from experiments.livieris import compare
from experiments.livieris.run import check, models_folder, train
from experiments.livieris.table1 import TABLE
from fsad.explain import overlay
from fsad.explain.boxes import Box, crop
from fsad.images import read_image


def draw(run):
    """The figures of a run by name."""
    record, arrays = run.load()
    file = models_folder(run.settings) / "original.keras"
    if not file.is_file():  # the record is there, the models are not
        train(run.settings)
    model, dataset = keras.models.load_model(file), data.of(run.settings)
    labels, scores = np.array(record["test"]["label"]), np.array(record["test"]["original"])
    same, right, pairs = labels == 0, (scores > 0.5) == labels, arrays["rows"]

    def paths(rows):
        return [dataset.samples[row].path for row in rows]

    by_name = {}
    for name, chosen in (
        ("same", same & right),
        ("same_mistaken", same & ~right),
        ("different", ~same & right),
        ("different_mistaken", ~same & ~right),
    ):
        for pair in pairs[chosen][:1]:
            images, maps, title = compare.explain(model, paths(pair), target="different")
            by_name[f"pair_{name}"] = overlay.pair_panel(*images, maps.factual[0], maps.counterfactual[0], title)
    cropped = (arrays["cropped"][pairs][..., 0] >= 0).all(1)
    for k in np.flatnonzero(same & cropped)[:1]:
        first = pairs[k][0]
        by_name["box"] = _box(model, paths((first, arrays["partner"][first])), arrays, first)
        titles = [f"{way}: dissimilarity {record['test'][way][k]:.2f}" for way in ("original", "cropped")]
        by_name["cropped_pair"] = _before_and_after(paths(pairs[k]), arrays["cropped"][pairs[k]], titles)
    return {f"livieris_{dataset.folder.resolve().name}_{name}": figure for name, figure in by_name.items()}


def _box(model, paths, arrays, row):
    """Figure 5, by the map of d and by both signs: map and box of an image against its partner, and the crop."""
    (image, _), explanation, _ = compare.explain(model, paths, target="different")
    figure = Figure(figsize=(7.4, 5.1), layout="constrained")
    above, below = figure.subplots(2, 3)
    for axes, way, maps, title in (
        (above, "cropped", explanation.factual, "map of the dissimilarity"),
        (below, "magnitude", explanation.magnitude, "both signs of the map"),
    ):
        box = Box(*arrays[way][row].tolist())
        _show(axes[0], image, title)
        _show(axes[1], overlay.blend(image, maps[0, 0], top=1), "map and box", box)
        _show(axes[2], crop(image, box), "cropped")
    return figure


def _before_and_after(paths, boxes, titles):
    """Figure 6: a pair of one class, and the same cropped to its boxes."""
    figure = Figure(figsize=(5.2, 5.4), layout="constrained")
    for axes, path, box, titles_of_column in zip(
        figure.subplots(2, 2).T, paths, boxes, (titles, ("", "")), strict=True
    ):
        image, box = read_image(path), Box(*box.tolist())
        _show(axes[0], image, titles_of_column[0], box)
        _show(axes[1], crop(image, box), titles_of_column[1])
    return figure


def _show(axis, image, title, box=None):
    axis.imshow(image)
    axis.set_title(title, fontsize=9, loc="left")
    axis.set(xticks=[], yticks=[])
    if box is not None:
        overlay.rectangle(axis, box)


if __name__ == "__main__":
    figures.main(TABLE, train, check, draw)
