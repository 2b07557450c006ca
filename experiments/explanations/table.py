"""Which explanation to trust for what: every method on the networks of the three papers and on the default recipe.

    python -m experiments.explanations
    python -m experiments.explanations --rows=tiles_full,metal_l

What you will see: a row per data set and network, with its best map and what that has to beat; below, what follows, in
sentences made from the numbers; then every method by every measure of `fsad.explain.faithfulness`. Two minutes a row on
two free cores. Networks and images are small, so that it can be afforded: MobileNet in place of VGG16 and ResNet50, 16
good and 8 defective images to fit, 6 defective ones to explain, 2 of them for what takes many passes.
Expected: patch distances find defects; gradients of a network that hardly tells good from defective show no defect.
"""

import numpy as np
import pandas as pd

from experiments import data, statistics
from experiments.explanations.rows import ROWS, SETS, TITLES
from experiments.explanations.run import CHECKED, CONTROLS, EXPLAINED, OTHER_THINGS, SETTINGS
from experiments.explanations.sentences import best_of, cell, mean, sentences
from experiments.page import Column, Result, Table
from fsad import metrics
from fsad.explain import methods, overlay

TABLE = Table(
    name="explanations",
    title="Which explanation to trust for what",
    columns=(
        Column("auroc", "AUROC of the scores"),
        Column("best", "Pixel AUROC of the best map", "{:.2f}"),
        Column("mean_map", "Of its mean map", "{:.2f}"),
        Column("edges", "Of edges", "{:.2f}"),
        Column("random", "Of noise", "{:.2f}"),
        Column("area", "Area of the mask", "{:.1%}"),
    ),
    rows=ROWS,
    settings={"data": "magnetic_tile", **SETTINGS},
    hidden_settings=("epochs", "precision", "recipe", "options", "methods", "backbone", "weights"),
    notes=(
        f"Explained: {EXPLAINED} defective test images with a mask per row. Intervals are of these images and wide. "
        "The best map is chosen on the same images, so its value is rather too high. Its mean map is the mean of its "
        "maps: it knows where defects usually are, and nothing of the image at hand.",
        "Masks of flowers show the blossom, all else defects: one kind is good there, the other four are not.",
        "Published, on MVTec AD, other data, from many normal images: pixel AUROC 0.96 of FCDD with a few labelled "
        "anomalies (Liznerski et al. 2021) and 0.86 of Grad-CAM on a variational autoencoder (Liu et al. 2020), over "
        "the pixels of all test images; here it is the mean over defective images.",
    ),
)
# Measures of a method, their titles, and how they are written.
MEASURES = {
    "pixel_auroc": ("Pixel AUROC", "{:.2f}"),
    "mean_map": ("Of the mean map", "{:.2f}"),
    "aupro": ("AUPRO", "{:.2f}"),
    "pointing_game": ("Pointing game", "{:.2f}"),
    "relevance_mass": ("Mass", "{:.2f}"),
    "relevance_rank": ("Rank", "{:.2f}"),
    "gain_blur": ("Insertion less deletion, blur", "{:+.2f}"),
    "gain_reference": ("reference", "{:+.2f}"),
    "shuffled": ("Network shuffled", "{:.2f}"),
    "other_references": ("Other references", "{:.2f}"),
    "shifted": ("Shifted", "{:.2f}"),
    "brighter": ("Brighter", "{:.2f}"),
    "seconds": ("Seconds", "{:.2f}"),
}
LEGEND = (
    "Against masks: chance is 0.5 for pixel AUROC, and the area of the mask for pointing game, mass and rank; AUPRO "
    "is of the explained images together. Insertion less deletion, in deviations of the scores: 0 is chance, higher "
    "is better, with pixels replaced by a blurred copy or by the nearest reference. Rank correlations with the map "
    "as it is: once the network's weights are shuffled, and once the image is compared with other things "
    f"({OTHER_THINGS}), low is right, and a map that turns flat counts as 0; once the image is shifted by 2 pixels or "
    f"5 % brighter, high is right. From insertion on, measures are of {CHECKED} images per data set. Seconds per map, "
    "beside other work on the machine, with fewer passes than by default (`experiments/explanations/run.py`)."
)


def report(runs):
    """Results by row; the sentences and every method by every measure; the figures."""
    loaded = [(run, *run.load()) for run in runs]
    results = {run.row.key: _result(record) for run, record, _ in loaded}
    by_network = {}
    for run, record, _ in loaded:
        key, network = run.row.key.split("_")
        by_network.setdefault("flowers" if key == "flowers" else network, []).append((network, key, record))
    few = f"From {EXPLAINED} images per row, {CHECKED} for all but masks: few, so read small differences as none."
    sections = [
        f"## What follows\n\n{few}\n\n" + "\n".join(f"{k}. {text}" for k, text in enumerate(sentences(loaded), 1))
    ]
    sections += [_section(network, records) for network, records in by_network.items() if network != "flowers"]
    for network, key, record in by_network.get("flowers", ()):
        sections.append(_section(network, [(network, key, record)], "Synthetic flowers: "))
    return results, "\n\n".join([*sections[:1], f"## The measures\n\n{LEGEND}", *sections[1:]]), _figures(loaded)


def _result(record):
    draw = statistics.draw(record["test"], record["scores"], 0.0)
    cells, _ = statistics.cells(lambda labels, scores, _: [metrics.auroc(labels, scores)], ("auroc",), [draw])
    best = best_of(record["measured"])
    cells |= {"best": cell([record], best, "pixel_auroc"), "mean_map": cell([record], best, "mean_map")}
    cells |= {name: cell([record], name, "pixel_auroc") for name in CONTROLS}
    cells["area"] = statistics.spread([np.mean(record["area"])])
    size = "{1} x {0}".format(*record["size"])
    return Result(cells, (f"The best map: {best}.", f"{size} pixels, weights {record['weights_loaded']}."))


def _section(network, keyed, prefix=""):
    records, lines = [record for *_, record in keyed], []
    sets = ", ".join(dict.fromkeys(title for _, key, _ in keyed for known, title, _ in SETS if known == key))
    for name in records[0]["measured"]:
        line = {"": name}
        for measure, (title, form) in MEASURES.items():
            line[title] = form.format(mean(records, name, measure))
        low, high = cell(records, name, "pixel_auroc")["interval"]
        line[MEASURES["pixel_auroc"][0]] += f" ({low:.2f} to {high:.2f})"
        lines.append(line)
    return f"## {prefix}{TITLES[network]}\n\n{sets}.\n\n{statistics.markdown(pd.DataFrame(lines))}"


def _figures(loaded):
    """The first image of a data set by every network and method, or four images where there is one network; figures of
    real images go to a folder that git ignores, since these are not ours to publish."""
    figures = {}
    for key, title, _ in SETS:
        chosen = [(run, arrays) for run, _, arrays in loaded if run.row.key.startswith(f"{key}_")]
        chosen = [(run, arrays) for run, arrays in chosen if not run.row.key.endswith("_full")]
        if not chosen:
            continue
        columns = [(TITLES[run.row.key.split("_")[1]], arrays, 0) for run, arrays in chosen]
        if len(columns) == 1:
            ((name, arrays, _),) = columns
            columns = [(f"image {k + 1}", arrays, k) for k in range(min(4, len(arrays["images"])))]
            title = f"{title}: {name}"
        figure = _figure(columns, title)
        if chosen[0][0].settings["data"] in data.SYNTHETIC:
            figures[key] = figure
        else:
            (data.CACHE / "figures").mkdir(parents=True, exist_ok=True)
            overlay.save(figure, data.CACHE / "figures" / f"explanations_{key}.png")
    return figures


def _figure(columns, title):
    """A line for each method, a column for each ``(its title, arrays, number of the image)``; above, the image with the
    outline of its mask."""
    from matplotlib.figure import Figure

    names = [name for name in (*methods.NAMES, *CONTROLS) if any(f"maps {name}" in arrays for _, arrays, _ in columns)]
    figure = Figure(figsize=(1.45 * len(columns) + 1, 1.45 * (len(names) + 1)), layout="constrained")
    axes = figure.subplots(len(names) + 1, len(columns), squeeze=False)
    for column, (above, arrays, number) in zip(axes.T, columns, strict=True):
        image, mask = arrays["images"][number], arrays["masks"][number]
        column[0].imshow(image)
        column[0].contour(mask, [0.5], colors=["white"], linewidths=2.5)
        column[0].contour(mask, [0.5], colors=["black"], linewidths=1)
        column[0].set_title(above, fontsize=8)
        for axis, name in zip(column[1:], names, strict=True):
            if (maps := arrays.get(f"maps {name}")) is None:
                axis.text(0.5, 0.5, "–", ha="center", va="center")
                axis.spines[:].set_visible(False)
                continue
            axis.imshow(overlay.blend(image, methods.shown(name, maps[number])))
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, name in zip(axes[:, 0], ("image, mask", *names), strict=True):
        axis.set_ylabel(name.replace("_", "\n"), fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
