"""Figures 3 and 4 of Senarathna and Wijesinghe (2025): saliency of defective images, custom CNN.

    make figures
    python -m experiments.senarathna.figures --data=/data/mvtec/leather,/data/marble

What you will see: a panel for each data set of Table III, one image of each defect type, with score and verdict
(`experiments.figures` says where). The models are those of Table III, first draw; six minutes on two cores if they are
not there yet.
"""

from experiments import figures
from experiments.data import check_shots
from experiments.senarathna.report import REDUCTION, THRESHOLD
from experiments.senarathna.run import train
from experiments.senarathna.table3 import TABLE

NUMBERS = {"mvtec": 3, "marble": 4}  # of the figure of each row of Table III


def draw(run):
    """The figure of a run by name."""
    record, _ = run.load()
    scores = record["test"][REDUCTION]
    verdicts = ["different" if score > THRESHOLD else "same" for score in scores]
    figure = figures.panel_by_kind(run, "Saliency", scores, verdicts, record["saliency"])
    return {f"senarathna_figure{NUMBERS[run.row.key]}{figures.suffix(run, TABLE)}": figure}


if __name__ == "__main__":
    figures.main(TABLE, train, check_shots, draw)
