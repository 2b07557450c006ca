"""Table III of Senarathna and Wijesinghe (2025): the custom CNN on MVTec AD leather and Marble Surface AD 2.

    make reproduce-table3
    python -m experiments.senarathna_table3 --data=/data/mvtec/leather,/data/marble

What you will see: two rows, on synthetic leather and synthetic tile unless `--data` names two folders.
Expected on synthetic pictures: near chance, as in Table I. The first row is Table I's and is not made
again. Differences from the paper are those of Table I.
"""

from experiments import reports, senarathna, study
from experiments.tables import Column, Row, Table

TABLE = Table(
    name="senarathna_table3",
    title="Table III: the custom Siamese model on two data sets",
    columns=(
        Column("accuracy", "Accuracy (%)", "{:.2f}", 100),
        Column("recall", "Recall (%)", "{:.2f}", 100),
        Column("precision", "Precision (%)", "{:.2f}", 100),
        Column("f1", "F1-score", "{:.2f}"),
        Column("auroc", "AUROC"),
        Column("latency", "Inference time", "{:.0f}ms", 1000),
        Column("size", "Model size (MB)", "{:.1f}"),
    ),
    rows=(
        Row(
            "mvtec",
            "MVTec",
            {"data": "synthetic-leather"},
            {
                "accuracy": "96.58",
                "recall": "100",
                "precision": "93.59",
                "f1": "0.97",
                "auroc": "0.985",
                "latency": "~ 30ms",
                "size": "467",
            },
            draws=3,
        ),
        Row(
            "marble",
            "Marble",
            {"data": "synthetic-tile"},
            {
                "accuracy": "92.18",
                "recall": "94.4",
                "precision": "90.32",
                "f1": "0.92",
                "auroc": "0.936",
                "latency": "~ 30ms",
                "size": "467",
            },
            draws=3,
        ),
    ),
    settings={**senarathna.SETTINGS, "backbone": "custom_cnn", "epochs": 20},
    notes=('Paper: MVTec AD leather and Marble Surface AD 2. Positive is "same".',),
)

if __name__ == "__main__":
    study.main(TABLE, senarathna.train, reports.scores, senarathna.check)
