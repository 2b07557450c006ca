"""Attention maps of Takimoto et al. (2022) over their images, with the defect masks beside them.

    make figures
    python -m experiments.takimoto.figures --data=magnetic_tile
    python -m experiments.takimoto.figures --data=/data/mvtec/tile --backbone=vgg16 --learning_rate=1e-5 --epochs=100

What you will see: a panel for methods II and III behind the fourth and the tenth convolution, one image of each defect
type (`experiments.figures` says where). The network is MobileNet at 128 pixels, trained in two minutes per panel.
"""

import dataclasses

from experiments import figures
from experiments.takimoto.run import check, train
from experiments.takimoto.tables import TABLES

QUICK = {"backbone": "mobilenet", "side": 128, "epochs": 8, "learning_rate": 1e-4, "batching": "images"}
ROWS = tuple(row for row in TABLES[11].rows if row.key in ("II_4", "II_10", "III_1.0_10"))
TABLE = dataclasses.replace(TABLES[11], rows=ROWS, settings={**TABLES[11].settings, **QUICK})


def draw(run):
    """The figure of a run by name."""
    record, _ = run.load()
    margins, title = record["test"]["output_1"]["nearest"], f"Method {run.row.title}\nAttention"
    verdicts = ["abnormal" if margin > 0 else "normal" for margin in margins]
    options = {"top": 1.0, "label": "attention"}
    figure = figures.panel_by_kind(run, title, margins, verdicts, record["attention"], **options)
    return {f"takimoto_attention_{run.row.key}{figures.suffix(run, TABLE)}": figure}


if __name__ == "__main__":
    figures.main(TABLE, train, check, draw)
