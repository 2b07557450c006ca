"""Table 9 of Takimoto et al. (2022): MVTec AD screw, experiment A (80 normal, 40 abnormal pictures).

    make reproduce-table9 ARGS="--data=/data/mvtec/screw"
    make reproduce-table9 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 16 rows, on synthetic metal unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit 100 normal test pictures beside 71 abnormal ones, where Table 4 prints 71 and 71
(`--protocol=accuracy`).
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_a(
    number=9,
    category="screw",
    abnormal=71,
    data="synthetic-metal",
    printed="""
        0.8868 0.784 0.640 0.986
        0.8894 0.805 0.690 0.966
        0.8895 0.790 0.652 0.983
        0.8925 0.782 0.654 0.980
        0.8901 0.795 0.664 0.983
        0.8892 0.794 0.674 0.963
        0.9000 0.793 0.670 0.963
        0.9013 0.781 0.640 0.980
        0.8970 0.790 0.656 0.972
        0.8975 0.809 0.684 0.983
        0.8886 0.794 0.666 0.972
        0.8866 0.767 0.620 0.975
        0.8959 0.785 0.650 0.975
        0.8995 0.802 0.678 0.983
        0.8997 0.807 0.680 0.986
        0.8863 0.794 0.678 0.958
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
