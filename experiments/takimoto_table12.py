"""Table 12 of Takimoto et al. (2022): MVTec AD capsule, experiment B (80 normal, 20 abnormal pictures).

    make reproduce-table12 ARGS="--data=/data/mvtec/capsule"
    make reproduce-table12 ARGS="--dry_run"                     the runs, and the time they would take here

What you will see: 15 rows, on synthetic metal unless `--data` names a folder. The paper's 5 runs of 100
epochs want a GPU: `--rows`, `--positions`, `--runs` and `--epochs` make less of it, and the table says so.
Its accuracies fit the equal counts of the paper's Table 4.
"""

from experiments import study, takimoto, takimoto_reports

TABLE = takimoto.experiment_b(
    number=12,
    category="capsule",
    abnormal=61,
    data="synthetic-metal",
    printed="""
        0.9526 0.807 0.984 0.630
        0.9424 0.799 0.982 0.616
        0.9414 0.769 0.984 0.554
        0.9481 0.769 0.984 0.554
        0.9320 0.760 0.992 0.528
        0.9686 0.796 0.996 0.597
        0.9675 0.817 0.994 0.639
        0.9611 0.759 0.986 0.531
        0.9604 0.704 0.996 0.413
        0.9632 0.718 1.000 0.436
        0.9628 0.741 0.996 0.485
        0.9594 0.764 0.994 0.534
        0.9640 0.764 0.994 0.508
        0.9643 0.708 0.996 0.420
        0.9497 0.747 0.998 0.495
    """,
)

if __name__ == "__main__":
    study.main(TABLE, takimoto.train, takimoto_reports.report, takimoto.check, takimoto.estimate)
