"""Table II of Senarathna and Wijesinghe (2025): inference time, training time and size of four models.

    make reproduce-table2

What you will see: sizes that are computed and come out as printed (467.6 MB, 1.47 GB, 5.03 GB, 362 MB: weights and
Adam's two moments in float32), and times measured on your machine beside those of a MacBook Pro M3 Pro. The runs are
those of Table I: ten minutes on two cores, or none if that table is there.

Differences from the paper: training time covers as many epochs as the footnote says (the paper gives none), and for the
frozen ResNet50 feature maps that are computed once. Inference is one pair, both images through the network, compiled
and warm.
"""

import dataclasses

from experiments import runner
from experiments.data import check_shots
from experiments.page import Column, Table
from experiments.senarathna import report, table1
from experiments.senarathna.run import train

PAPER = {
    "custom_cnn": {"latency": "~ 0.03s", "training": "~ 55s", "size": "467 MB"},
    "vgg19": {"latency": "~ 0.069s", "training": "~ 6m", "size": "1.47 GB"},
    "resnet50": {"latency": "~ 0.085s", "training": "~ 12m", "size": "5.03 GB"},
    "inception_v3": {"latency": "~ 0.072s", "training": "~ 16m", "size": "363 MB"},
}
TABLE = Table(
    name="senarathna_table2",
    title="Table II: inference time, training time and model size",
    columns=(
        Column("latency", "Inference time", "{:.3f}s"),
        Column("training", "Training time", "{:.0f}s"),
        Column("size", "Model size", "{:.1f} MB"),
    ),
    rows=tuple(dataclasses.replace(row, paper=PAPER[row.key], note="") for row in table1.TABLE.rows),
    settings=table1.TABLE.settings,
    hidden_settings=report.HIDDEN,
    notes=("Paper: MacBook Pro, M3 Pro.",),
)

if __name__ == "__main__":
    runner.main(TABLE, train, report.costs, check_shots)
