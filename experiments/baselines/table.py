"""The systems that the papers compare with or name, beside paper S, paper T and our default, on the same draws.

    python -m experiments.baselines
    python -m experiments.baselines --rows=tiles_svm,tiles_default --draws=1      a minute

What you will see: AUROC of nine methods on held-out parts of four real data sets, where they are there, and of
synthetic leather; 16 good and 8 defective images, five draws, group-disjoint. An autoencoder, a variational one,
GANomaly and FewSOME learn from the good images alone. Paper S is the run of `experiments.senarathna.table1`, which
takes most of the hour. Expected: what reconstructs or trains on so few images stays behind rules on frozen features.
"""

import time

import keras
import numpy as np
import pandas as pd

from experiments import data, runner, statistics
from experiments.baselines import autoencoder, fewsome, ganomaly, six_colours, svm, variational_autoencoder
from experiments.data import check_shots
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row, recall
from experiments.senarathna.run import SETTINGS as PAPER_S
from experiments.senarathna.run import train as train_paper_s
from experiments.takimoto.run import nearest_class
from fsad import metrics, recipes, siamese, training
from fsad.detector import Detector
from fsad.images import read_images

SETS = (
    ("tiles", "Magnetic tiles", "magnetic_tile", 0),
    ("commutators", "KolektorSDD", "kolektorsdd", 0),
    ("figures", "Toy figures", "aws_alien", 0),
    ("cells", "Solar cells", "elpv_mono", 0),
    ("leather", "Synthetic leather", "synthetic-leather", 73),
)


def paper_t(shots, weights, rng):
    """Method III on MobileNet: the margin between the nearest abnormal and normal image."""
    recipe = recipes.takimoto.build(
        "mobilenet", weights, position=10, side=128, learning_rate=1e-4, epochs=50, batching="images"
    )
    support = [*shots.anchors, *shots.good, *shots.defective]
    images, test = (read_images([s.path for s in samples], recipe.side) for samples in (support, shots.test))
    labels = np.array([s.label for s in support])
    training.fit(recipe, images, labels, rng, precision=training.fast_precision())
    references, embeddings = (siamese.embed(recipe.model, some) for some in (images, test))
    return nearest_class(embeddings, references, labels)[1]


def default(shots, weights, rng):
    """`fsad.Detector` as it is."""
    detector = Detector(weights=weights).fit([*shots.anchors, *shots.good], list(shots.defective), progress=False)
    return detector.score(list(shots.test))


METHODS = {
    "six_colours": ("six colour numbers", six_colours.scores),
    "svm": ("SVM on frozen features", svm.scores),
    "autoencoder": ("autoencoder", autoencoder.scores),
    "vae": ("variational autoencoder", variational_autoencoder.scores),
    "ganomaly": ("GANomaly, small", ganomaly.scores),
    "fewsome": ("FewSOME", fewsome.scores),
    "paper_s": ("paper S, custom CNN", None),  # the run of its own table
    "paper_t": ("paper T, method III, MobileNet", paper_t),
    "default": ("fsad's default", default),
}
TABLE = Table(
    name="baselines",
    title="The systems the papers compare with or name, on the same draws",
    columns=(Column("auroc", "AUROC"), Column("f1_max", "F1-max"), Column("seconds", "Fit and score", "{:.0f} s")),
    rows=tuple(
        Row(f"{key}_{method}", f"{title}: {words}",
            {"data": name, "method": method, "test_per_class": tested}, draws=5)
        for key, title, name, tested in SETS
        for method, (words, _) in METHODS.items()
    ),
    settings={
        "backbone": "mobilenet",
        "weights": "imagenet",
        "epochs": 1,
        "anchors": 8,
        "good": 8,
        "defective": 8,
        "hold_out": None,
    },
    hidden_settings=("method", "epochs", "backbone", "precision", "test_per_class"),  # each method has its own
    notes=(
        "16 good and 8 defective images. The autoencoders, GANomaly and FewSOME do not use the defective ones; the "
        "default's score does not either.",
    ),
)  # fmt: skip


def train(settings, on_epoch=lambda loss: None):
    """One method on one draw, as `experiments.runner` calls it."""
    dataset = data.of(settings)
    if settings["method"] == "paper_s":
        own = {k: settings[k] for k in ("data", "seed", "precision", "test_per_class", *data.DEFAULTS)}
        record = recall({**PAPER_S, "epochs": 20, **own}, train_paper_s)
        test = {name: record["test"][name] for name in ("path", "label", "kind", "group")}
        return {"data": record["data"], "test": test, "scores": record["test"]["mean"],
                "seconds": record["training_seconds"], "weights_loaded": record["weights_loaded"]}, {}  # fmt: skip
    keras.utils.set_random_seed(settings["seed"])
    rng = np.random.default_rng(settings["seed"])
    shots = data.shots(dataset, settings, rng)
    begun = time.perf_counter()
    scores = METHODS[settings["method"]][1](shots, settings["weights"], rng)
    seconds = time.perf_counter() - begun
    on_epoch(float("nan"))
    return {
        "data": data.describe(dataset, settings),
        "weights_loaded": settings["weights"],
        "test": data.test_fields(shots.test, dataset),
        "scores": np.asarray(scores, float).tolist(),
        "seconds": seconds,
    }, {}


def report(runs):
    """Results by row, and a section with a line per method and a column per data set."""
    results, lines = {}, {words: {} for words, _ in METHODS.values()}
    for row, records in by_row(runs):
        draws = [statistics.draw(r["test"], r["scores"], 0.0) for r in records]
        cells, _ = statistics.cells(_statistics, ("auroc", "f1_max"), draws)
        cells["seconds"] = statistics.spread(r["seconds"] for r in records)
        tested = " or ".join(map(str, sorted({len(r["test"]["label"]) for r in records})))
        results[row.key] = Result(cells, (f"{len(records)} draws, {tested} test images per draw.",))
        name, words = row.title.split(": ")
        lines[words][name] = cells["auroc"]
    names = [title for _, title, _, _ in SETS if any(title in line for line in lines.values())]
    frame = pd.DataFrame(
        {"": words, **{name: statistics.shown(line.get(name)) for name in names}, "mean": _mean(line, names)}
        for words, line in lines.items()
    )
    text = "AUROC on held-out parts, mean ± standard deviation over the draws; the mean is over the data sets shown."
    return results, f"## By data set\n\n{text}\n\n{statistics.markdown(frame)}", {}


def _mean(line, names):
    means = [line[name]["mean"] for name in names if name in line]
    return f"{np.mean(means):.3f}" if len(means) == len(names) else "–"


def _statistics(labels, scores, _):
    return metrics.auroc(labels, scores), metrics.f1_max(labels, scores)


def main():
    runner.main(TABLE, train, report, check_shots)


if __name__ == "__main__":
    main()
