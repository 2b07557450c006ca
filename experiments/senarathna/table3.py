"""Table III of Senarathna and Wijesinghe (2025): the custom CNN on MVTec AD leather and Marble Surface AD 2.

    make reproduce-table3
    python -m experiments.senarathna.table3 --data=/data/mvtec/leather,/data/marble

What you will see: two rows, on synthetic leather and synthetic tile unless `--data` names two folders. Ten minutes on
two cores; the first row is Table I's and is not made again. Expected on synthetic images: near chance, as in Table I,
whose differences from the paper are the same.
"""

from experiments import runner
from experiments.data import check_shots
from experiments.page import Column, Row, Table
from experiments.senarathna import report
from experiments.senarathna.run import SETTINGS, train


def _row(key, title, data, *printed):
    return Row(key, title, {"data": data}, dict(zip([c.key for c in COLUMNS], printed, strict=True)), draws=3)


COLUMNS = (
    Column("accuracy", "Accuracy (%)", "{:.2f}", 100),
    Column("recall", "Recall (%)", "{:.2f}", 100),
    Column("precision", "Precision (%)", "{:.2f}", 100),
    Column("f1", "F1-score", "{:.2f}"),
    Column("auroc", "AUROC"),
    Column("latency", "Inference time", "{:.0f}ms", 1000),
    Column("size", "Model size (MB)", "{:.1f}"),
)
TABLE = Table(
    name="senarathna_table3",
    title="Table III: the custom Siamese model on two data sets",
    columns=COLUMNS,
    rows=(
        _row("mvtec", "MVTec", "synthetic-leather", "96.58", "100", "93.59", "0.97", "0.985", "~ 30ms", "467"),
        _row("marble", "Marble", "synthetic-tile", "92.18", "94.4", "90.32", "0.92", "0.936", "~ 30ms", "467"),
    ),
    settings={**SETTINGS, "backbone": "custom_cnn", "epochs": 20},
    hidden_settings=report.HIDDEN,
    notes=('Paper: MVTec AD leather and Marble Surface AD 2. Positive is "same".',),
)

if __name__ == "__main__":
    runner.main(TABLE, train, report.scores, check_shots)
