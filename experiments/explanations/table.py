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
from scipy.stats import spearmanr

from experiments import data, statistics
from experiments.explanations.run import CHECKED, CONTROLS, EXPLAINED, OTHER_THINGS, SETTINGS
from experiments.page import Column, Result, Row, Table
from fsad import metrics
from fsad.explain import methods, overlay

SETS = (
    ("tiles", "Magnetic tiles", {"data": "magnetic_tile"}),
    ("kolektor", "KolektorSDD", {"data": "kolektorsdd"}),
    ("metal", "Synthetic metal", {"data": "synthetic-metal"}),
    ("flowers", "Synthetic flowers", {"data": "synthetic-flowers"}),
)
SMALL_S = {"side": 64, "epochs": 10}
SMALL_T = {"position": 10, "branch_weight": 1.0, "side": 96, "epochs": 30, "learning_rate": 1e-4}
SMALL_L = {"frozen": True, "side": 128, "epochs": 30, "learning_rate": 1e-3, "batch_size": 32}
NETWORKS = (
    ("s", "paper S", {"recipe": "senarathna", "backbone": "custom_cnn", "options": SMALL_S}),
    ("t", "paper T, with branch", {"recipe": "takimoto", "options": SMALL_T}),
    ("l", "paper L", {"recipe": "livieris", "options": SMALL_L}),
    ("patches", "the default at 160 pixels", {"recipe": "patches", "options": {"side": 160}}),
    ("full", "the default", {"recipe": "patches", "methods": ["patches", "saliency"]}),
)
TITLES = {key: title for key, title, _ in NETWORKS}
# Those that can be afforded.
CHOSEN = {"tiles": TITLES, "kolektor": ("l", "full"), "metal": TITLES, "flowers": ("l",)}
ROWS = tuple(
    Row(f"{key}_{network}", f"{title}: {name}", {**place, **own})
    for key, title, place in SETS
    for network, name, own in NETWORKS
    if network in CHOSEN[key]
)
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
SURVIVES = 0.5  # rank correlation from which on a map is said to survive what should change it, or to be stable


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


def best_of(measured):
    """The method with the highest mean pixel AUROC."""
    own = [name for name in measured if name not in CONTROLS]
    return max(own, key=lambda name: np.mean(measured[name]["pixel_auroc"]))


def cell(records, name, measure):
    """The mean of a measure of a method over the images of records, with an interval over records and parts."""
    draws = []
    for record in records:
        values = np.atleast_1d(record["measured"][name][measure])
        groups = np.array(record["test"]["group"])[record["explained"]][: len(values)]
        draws.append({"labels": np.ones(len(values), int), "scores": values, "groups": groups, "threshold": 0.0})
    cells, _ = statistics.cells(lambda labels, scores, _: [scores.mean()], (measure,), draws)
    return {**cells[measure], "sd": None, "mean": mean(records, name, measure)}


def mean(records, name, measure):
    """The mean of a measure of a method over records, each the mean of its images."""
    return float(np.mean([np.mean(record["measured"][name][measure]) for record in records]))


def _section(network, found, prefix=""):
    records, lines = [record for *_, record in found], []
    sets = ", ".join(dict.fromkeys(title for _, key, _ in found for known, title, _ in SETS if known == key))
    for name in records[0]["measured"]:
        line = {"": name}
        for measure, (title, form) in MEASURES.items():
            line[title] = form.format(mean(records, name, measure))
        low, high = cell(records, name, "pixel_auroc")["interval"]
        line[MEASURES["pixel_auroc"][0]] += f" ({low:.2f} to {high:.2f})"
        lines.append(line)
    return f"## {prefix}{TITLES[network]}\n\n{sets}.\n\n{statistics.markdown(pd.DataFrame(lines))}"


def sentences(loaded):
    """What the numbers say, ten sentences at most: each with the numbers it is made of."""
    found = [(*run.row.key.split("_"), record) for run, record, _ in loaded]
    defects = [(key, network, record) for key, network, record in found if key != "flowers"]
    real = [(key, network, record) for key, network, record in defects if key in ("tiles", "kolektor")]
    texts = []
    if real:
        key, network, record = max(real, key=lambda item: _value(item[2], best_of(item[2]["measured"])))
        best = best_of(record["measured"])
        texts.append(
            f"*To find a real defect*: the best map is {best} of {TITLES[network]} on {_title(key)}, pixel AUROC "
            f"{_value(record, best):.2f}; edges reach {_value(record, 'edges'):.2f} there, its mean map "
            f"{mean([record], best, 'mean_map'):.2f}. (FCDD's published 0.96 and 0.86 of Grad-CAM on a variational "
            "autoencoder are of other data.)"
        )
    for network, usual in (("patches", "patches"), ("s", "saliency"), ("t", "attention"), ("l", "gradcam")):
        records = [record for _, name, record in defects if name == network]
        if records:
            places = ", ".join(_title(key) for key, name, _ in defects if name == network)
            texts.append(_of_network(network, usual, records, places))
    pairs = [(network, method) for network in TITLES for method in methods.NAMES]
    values = {
        (network, method): [record for _, name, record in defects if name == network and method in record["measured"]]
        for network, method in pairs
    }
    values = {pair: records for pair, records in values.items() if records}
    if len(values) > 2:
        texts += _across(values)
    return texts


def _of_network(network, usual, records, places):
    common = set.intersection(*(set(record["measured"]) for record in records)) - set(CONTROLS)
    best = max(sorted(common), key=lambda name: mean(records, name, "pixel_auroc"))
    own, top = mean(records, usual, "pixel_auroc"), mean(records, best, "pixel_auroc")
    edges = mean(records, "edges", "pixel_auroc")
    low, high = cell(records, best, "pixel_auroc")["interval"]
    auroc = float(np.mean([record["auroc"] for record in records]))
    trust = (
        "its interval lies above edges" if low > edges else "its interval does not lie above edges: do not rely on it"
    )
    best_text = f"{usual} is also the best" if best == usual else f"the best is {best}, {top:.2f}"
    return (
        f"*{TITLES[network][0].upper()}{TITLES[network][1:]}* on {places} (AUROC of its scores {auroc:.2f}): {usual} "
        f"finds defects at a pixel AUROC of {own:.2f}, {best_text} ({low:.2f} to {high:.2f}), edges {edges:.2f}; "
        f"{trust}."
    )


def _across(values):
    """Sentences over all networks and methods: ``values``, the records by network and method."""

    def of(measure):
        return {pair: mean(records, pair[1], measure) for pair, records in values.items()}

    def by_method(measure):
        numbers = of(measure)
        names = dict.fromkeys(name for _, name in numbers)
        return {name: float(np.mean([value for pair, value in numbers.items() if pair[1] == name])) for name in names}

    auroc, gain = of("pixel_auroc"), {p: (of("gain_blur")[p] + of("gain_reference")[p]) / 2 for p in values}
    rho = float(spearmanr([*auroc.values()], [*gain.values()]).statistic)
    shuffled, swapped, shifted = of("shuffled"), of("other_references"), by_method("shifted")
    seconds, gains = by_method("seconds"), {n: (by_method("gain_blur")[n] + by_method("gain_reference")[n]) / 2
                                            for n in by_method("seconds")}  # fmt: skip
    perturbing = [auroc[p] for p in auroc if p[1] in ("occlusion", "lime", "sinex", "sinexc")]
    others = [auroc[p] for p in auroc if p[1] in ("saliency", "smoothgrad", "integrated_gradients")]
    most = max(gains, key=gains.get)
    relation = "agree" if rho > 0.5 else "hardly agree" if rho < 0.2 else "agree in part"
    texts = [
        f"*What moves the score*: {most} orders the pixels best, insertion less deletion {gains[most]:+.2f} in the "
        f"mean of networks and fill-ins. Masks and deletion {relation} (rank correlation {rho:.2f} over {len(values)} "
        "pairs of network and method): a map can be true to a network that does not look at the defect.",
        f"*Maps by perturbing segments* (occlusion, LIME, SINEX, SINEXC) find defects at {np.mean(perturbing):.2f}, "
        f"those by gradients of pixels (saliency, SmoothGrad, integrated gradients) at {np.mean(others):.2f}.",
        f"*Fails the shuffled network* (rank correlation of {SURVIVES} or more with the map of the trained one, so a "
        f"map of the image rather than of what was learned): {_listed(shuffled, lambda v: v >= SURVIVES)}.",
        "*Does not depend on the references* (as much, when they are replaced): "
        f"{_listed(swapped, lambda v: v >= 0.9, 0.9)}.",
        "*Unstable and slow*: when the image moves by two pixels, in the mean of networks, the map of "
        + (", ".join(f"{n} ({v:.2f})" for n, v in shifted.items() if v < SURVIVES) or "none")
        + f" stays less alike than {SURVIVES}; {min(seconds, key=seconds.get)} takes {min(seconds.values()):.3f} s a "
        f"map, {max(seconds, key=seconds.get)} {max(seconds.values()):.2f} s.",
    ]
    complete = [v for (_, name), records in values.items() if name == "integrated_gradients"
                for record in records for v in record["measured"][name]["completeness"]]  # fmt: skip
    texts[-1] += (
        f" Integrated gradients miss the change that they explain by {np.median(complete):.0%} (median, 8 steps)."
    )
    return texts


def _listed(numbers, condition, limit=SURVIVES):
    by_network = {}
    for (network, name), value in numbers.items():
        if condition(value):
            by_network.setdefault(TITLES[network], []).append(f"{name} {value:.2f}")
    return "; ".join(f"{title}: {', '.join(names)}" for title, names in by_network.items()) or f"none from {limit} on"


def _value(record, name):
    return mean([record], name, "pixel_auroc")


def _title(key):
    return next(title for known, title, _ in SETS if known == key)


def _figures(loaded):
    """The first image of synthetic metal by every network and method; figures of real images go to a folder that git
    ignores, since these are not ours to publish."""
    figures = {}
    for key, title, _ in SETS:
        found = [(run, arrays) for run, _, arrays in loaded if run.row.key.startswith(f"{key}_")]
        found = [(run, arrays) for run, arrays in found if not run.row.key.endswith("_full")]
        if not found:
            continue
        figure = _figure([(TITLES[run.row.key.split("_")[1]], arrays) for run, arrays in found], title)
        if found[0][0].settings["data"] in data.SYNTHETIC:
            figures[key] = figure
        else:
            (data.CACHE / "figures").mkdir(parents=True, exist_ok=True)
            overlay.save(figure, data.CACHE / "figures" / f"explanations_{key}.png")
    return figures


def _figure(found, title):
    """A line for each method, a column for each network; above, the image with the outline of its mask."""
    from matplotlib.figure import Figure

    names = [name for name in (*methods.NAMES, *CONTROLS) if any(f"maps {name}" in arrays for _, arrays in found)]
    figure = Figure(figsize=(1.45 * len(found) + 1, 1.45 * (len(names) + 1)), layout="constrained")
    axes = figure.subplots(len(names) + 1, len(found), squeeze=False)
    for column, (network, arrays) in zip(axes.T, found, strict=True):
        image, mask = arrays["images"][0], arrays["masks"][0]
        column[0].imshow(image)
        column[0].contour(mask, [0.5], colors=["white"], linewidths=2.5)
        column[0].contour(mask, [0.5], colors=["black"], linewidths=1)
        column[0].set_title(network, fontsize=8)
        for axis, name in zip(column[1:], names, strict=True):
            if (maps := arrays.get(f"maps {name}")) is None:
                axis.text(0.5, 0.5, "–", ha="center", va="center")
                continue
            axis.imshow(overlay.blend(image, methods.shown(name, maps[0])))
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, name in zip(axes[:, 0], ("image, mask", *names), strict=True):
        axis.set_ylabel(name.replace("_", "\n"), fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
