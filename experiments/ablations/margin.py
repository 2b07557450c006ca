"""Which margin for the losses of Takimoto et al. (2022), who give none? In multiples of the distances at first.

    python -m experiments.ablations.margin --data=magnetic_tile --backbone=mobilenet --side=128 --epochs=8 \\
        --learning_rate=1e-4 --test_per_class=0 --draws=2

What you will see: method III behind the tenth convolution, experiment A, with margins of 0.5, 1, 2 and 4 times the
median distance of different pairs before training. On real tiles (results/study_margin_magnetic_tile.md) the AUC does
not depend on it within the spread of the runs; a larger margin finds more of the abnormal and costs some of the
normal; and only from 2 on does the attention map find the defects.
"""

from experiments import runner
from experiments.page import Row, Table
from experiments.takimoto import tables
from experiments.takimoto.run import SETTINGS, check, estimate, train

TABLE = Table(
    name="study_margin",
    title="Margin of the contrastive loss, in multiples of the first median distance",
    columns=tables.COLUMNS,
    rows=tuple(Row(f"x{factor}", f"x {factor}", {"margin_factor": factor}) for factor in (0.5, 1.0, 2.0, 4.0)),
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
