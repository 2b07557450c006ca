"""What it takes to reach the AUROC of 0.985 of Senarathna and Wijesinghe (2025): four ways to test, one of them honest.

    python -m experiments.senarathna.leaks
    python -m experiments.senarathna.leaks --rows=tiles_honest,tiles_pairs --draws=1

What you will see: the paper's network and recipe on real tiles, commutators and toy figures and on synthetic leather,
tested honestly; on other photographs of the parts it was trained on; on pairs that were split off after augmentation;
and on its training images. Beside each AUROC that of a rule on six colour numbers. Expected: chance where colour is at
chance, whatever the network memorises. The first, second and fourth row of a data set are one run, that of
`experiments.senarathna.table1`; half an hour on two cores, more than half of it for the real data.
"""

from experiments import runner
from experiments.data import check_shots
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from experiments.senarathna import report
from experiments.senarathna.run import SETTINGS, train
from experiments.statistics import cells, draw
from fsad import metrics

SETS = (
    ("tiles", "Magnetic tiles", {"data": "magnetic_tile", "test_per_class": 0}),
    ("commutators", "KolektorSDD", {"data": "kolektorsdd", "test_per_class": 0}),
    ("figures", "Toy figures", {"data": "aws_alien", "test_per_class": 0}),
    ("leather", "Synthetic leather", {"data": "synthetic-leather"}),
)
HARD = {"pairing": "all", "learning_rate": 3e-4, "normalise": True, "epochs": 5}
WAYS = {
    "honest": "honest: parts that training never saw",
    "others": "other photographs of the training parts",
    "pairs": "pairs split 80:20 after augmentation",
    "training": "the training images",
}
LEAKS = {"others": "other photographs", "training": "training images"}  # names in a record
NOTHING = "This data set has one photograph of each part."


def _rows():
    for key, title, settings in SETS:
        for way, words in WAYS.items():
            own = {**settings, "split_pairs": True} if way == "pairs" else settings
            yield Row(f"{key}_{way}", f"{title}: {words}", own, draws=3 if way == "pairs" else 5)
        if key == "tiles":
            for way in ("honest", "others"):
                title_of_hard = f"{title}, trained to memorise: {WAYS[way]}"
                yield Row(f"{key}_hard_{way}", title_of_hard, {**settings, **HARD}, draws=3)


TABLE = Table(
    name="senarathna_leaks",
    title="Paper S: the same network, tested honestly and with three leaks",
    columns=(Column("auroc", "AUROC"), Column("colours", "AUROC of six colour numbers")),
    rows=tuple(_rows()),
    settings={**SETTINGS, "backbone": "custom_cnn", "epochs": 20},
    hidden_settings=report.HIDDEN,
    notes=(
        "The paper prints an AUROC of 0.985 on MVTec AD leather and 0.936 on marble, and does not say how images or "
        "pairs were split.",
        "Six colour numbers: mean and deviation of R, G and B of the whole image; a logistic regression fitted to the "
        "same training images, or to the second images of the same training pairs.",
        "Trained to memorise: each anchor with each image, learning rate 3e-4, 5 epochs (of eight times the pairs), "
        "images normalised to one mean and contrast.",
    ),
)


def results(runs):
    """Results by row."""
    by_key = {}
    for row, records in by_row(runs):
        way = row.key.split("_")[-1]
        tests = [record["leaks"].get(LEAKS[way]) if way in LEAKS else record["test"] for record in records]
        # Other photographs of a few parts need not show both classes.
        tests = [test for test in tests if test and len(set(test["label"])) == 2]
        if not tests:
            by_key[row.key] = Result({}, (NOTHING,))
            continue
        row_cells = {}
        for key, scores in (("auroc", report.REDUCTION), ("colours", "colours")):
            row_cells |= cells(_auroc, (key,), [draw(test, test[scores], 0.0) for test in tests])[0]
        sizes = sorted({len(test["label"]) for test in tests})
        what = "pairs" if way == "pairs" else "images"
        tested = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0])
        by_key[row.key] = Result(row_cells, (f"{len(tests)} draws, {tested} {what} tested per draw.",))
    return by_key, "", {}


def _auroc(labels, scores, threshold):
    return [metrics.auroc(labels, scores)]


if __name__ == "__main__":
    runner.main(TABLE, train, results, check_shots)
