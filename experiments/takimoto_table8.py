"""Table 8 of Takimoto et al. (2022): MVTec AD capsule, experiment A (80 normal, 40 abnormal pictures).

    make reproduce-table8 ARGS="--data=/data/mvtec/capsule"
    make reproduce-table8 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 16 rows, on synthetic metal unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit the equal counts of the paper's Table 4.
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_a(
    number=8,
    category="capsule",
    abnormal=61,
    data="synthetic-metal",
    printed="""
        0.9397 0.867 0.930 0.803
        0.9409 0.865 0.910 0.820
        0.9406 0.854 0.898 0.810
        0.9373 0.861 0.915 0.807
        0.9433 0.859 0.916 0.802
        0.9381 0.854 0.928 0.780
        0.9464 0.871 0.908 0.833
        0.9486 0.867 0.878 0.856
        0.9316 0.853 0.891 0.816
        0.9302 0.840 0.902 0.777
        0.9331 0.853 0.876 0.830
        0.9494 0.869 0.910 0.828
        0.9477 0.869 0.884 0.853
        0.9429 0.872 0.898 0.846
        0.9330 0.860 0.874 0.846
        0.9114 0.837 0.890 0.777
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
