"""What Takimoto et al. (2022) leave open: the margin of the losses, and how the attention map acts on the features.

    python -m experiments.ablations.margin --data=magnetic_tile --backbone=mobilenet --side=96 --batch_size=60 \\
        --epochs=8 --learning_rate=1e-4 --test_per_class=100 --draws=3

What you will see: method III behind the tenth convolution, experiment A, with margins of 0.5, 1, 2 and 4 times the
median distance of different pairs before training, each output's by its own distances; and (1 + M) F in place of M F.
Ten minutes on two cores; results/study_margin_magnetic_tile.md.
"""

from experiments import runner
from experiments.page import Row, Table
from experiments.takimoto import tables
from experiments.takimoto.run import SETTINGS, check, estimate, train

TABLE = Table(
    name="study_margin",
    title="Margin, in multiples of the first median distance, and residual attention",
    columns=tables.COLUMNS,
    rows=(
        *(Row(f"x{factor}", f"x {factor}", {"margin_factor": factor}) for factor in (0.5, 1.0, 2.0, 4.0)),
        Row("residual", "x 2.0, (1 + M) F", {"residual": True}),
    ),
    settings={
        **SETTINGS,
        "data": "synthetic-metal",
        "position": 10,
        "branch_weight": 1.0,
        "abnormal": 40,
        "test_per_class": 40,
        "batching": "images",
    },
    notes=("Recall is of the normal, specificity of the abnormal images.",),
)

if __name__ == "__main__":
    runner.main(TABLE, train, tables.report, check, estimate)
