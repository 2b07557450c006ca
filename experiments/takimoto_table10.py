"""Table 10 of Takimoto et al. (2022): MVTec AD carpet, experiment A (80 normal, 40 abnormal pictures).

    make reproduce-table10 ARGS="--data=/data/mvtec/carpet"
    make reproduce-table10 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 16 rows, on synthetic tile unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit 100 normal test pictures beside 45 abnormal ones, where Table 4 prints 45 and 45
(`--protocol=accuracy`).
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_a(
    number=10,
    category="carpet",
    abnormal=45,
    data="synthetic-tile",
    printed="""
        0.9335 0.953 1.000 0.849
        0.9388 0.952 1.000 0.844
        0.9342 0.952 1.000 0.844
        0.9323 0.966 1.000 0.889
        0.9352 0.946 1.000 0.827
        0.9354 0.954 1.000 0.853
        0.9388 0.956 1.000 0.858
        0.9393 0.959 0.980 0.871
        0.9352 0.964 1.000 0.884
        0.9346 0.949 1.000 0.836
        0.9562 0.955 1.000 0.853
        0.9505 0.946 1.000 0.827
        0.9387 0.961 1.000 0.876
        0.9356 0.966 1.000 0.889
        0.9346 0.948 1.000 0.831
        0.9579 0.948 1.000 0.831
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
