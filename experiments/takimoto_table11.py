"""Table 11 of Takimoto et al. (2022): MVTec AD tile, experiment A (80 normal, 40 abnormal pictures).

    make reproduce-table11 ARGS="--data=/data/mvtec/tile"
    make reproduce-table11 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 16 rows, on synthetic tile unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit the equal counts of the paper's Table 4.
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_a(
    number=11,
    category="tile",
    abnormal=40,
    data="synthetic-tile",
    printed="""
        0.9681 0.785 0.590 0.980
        0.9596 0.808 0.636 0.980
        0.9590 0.795 0.614 0.975
        0.9563 0.793 0.600 0.985
        0.9701 0.792 0.604 0.980
        0.9739 0.797 0.624 0.970
        0.9685 0.786 0.592 0.980
        0.9640 0.769 0.552 0.985
        0.9636 0.776 0.572 0.980
        0.9739 0.814 0.648 0.980
        0.9691 0.824 0.668 0.980
        0.9621 0.789 0.602 0.975
        0.9751 0.755 0.534 0.975
        0.9756 0.789 0.602 0.970
        0.9801 0.821 0.656 0.985
        0.9838 0.800 0.604 0.995
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
