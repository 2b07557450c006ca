"""What follows from the measures of explanations, in sentences made from the numbers."""

import numpy as np
from scipy.stats import spearmanr

from experiments import statistics
from experiments.explanations.rows import SETS, TITLES
from experiments.explanations.run import CONTROLS
from fsad.explain import methods

SURVIVES = 0.5  # rank correlation from which on a map is said to survive what should change it, or to be stable


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


def sentences(loaded):
    """What the numbers say, ten sentences at most: each with the numbers it is made of."""
    records = [(*run.row.key.split("_"), record) for run, record, _ in loaded]
    defects = [(key, network, record) for key, network, record in records if key != "flowers"]
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
    for network, usual in (("full", "patches"), ("s", "saliency"), ("t", "attention"), ("l", "gradcam")):
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
    best_text = "the best of its maps" if best == usual else f"the best is {best}, {top:.2f}"
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
