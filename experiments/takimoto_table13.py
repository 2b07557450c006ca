"""Table 13 of Takimoto et al. (2022): MVTec AD tile, experiment B (80 normal, 20 abnormal pictures).

    make reproduce-table13 ARGS="--data=/data/mvtec/tile"
    make reproduce-table13 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 15 rows, on synthetic tile unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit 100 normal test pictures beside 40 abnormal ones, where Table 4 prints 40 and 40
(`--protocol=accuracy`).
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_b(
    number=13,
    category="tile",
    abnormal=40,
    data="synthetic-tile",
    printed="""
        0.9601 0.830 0.824 0.845
        0.9638 0.811 0.784 0.880
        0.9776 0.851 0.830 0.905
        0.9765 0.899 0.920 0.845
        0.9820 0.851 0.850 0.855
        0.9638 0.841 0.870 0.770
        0.9597 0.821 0.808 0.855
        0.9829 0.845 0.826 0.895
        0.9699 0.823 0.836 0.790
        0.9854 0.843 0.810 0.925
        0.9654 0.844 0.854 0.820
        0.9579 0.819 0.808 0.845
        0.9821 0.851 0.842 0.875
        0.9639 0.870 0.916 0.755
        0.9785 0.873 0.890 0.830
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
