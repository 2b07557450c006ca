"""Tables 8 to 13 of Takimoto et al. (2022): capsule, screw, carpet and tile of MVTec AD; experiment B: capsule, tile.

    make reproduce-table11 ARGS="--data=/data/mvtec/tile"
    python -m experiments.takimoto.tables --table=11 --dry_run        the runs, and the time they would take here
    python -m experiments.takimoto.tables --table=11 --data=magnetic_tile --rows=I,II_10,III_1.0_10 --draws=3 \\
        --backbone=mobilenet --side=128 --batching=images --learning_rate=1e-4 --epochs=8 --test_per_class=0  15 minutes

What you will see: 16 rows (experiment A, 80 normal and 40 abnormal images: methods I, II and III at five positions, w =
1.0 and 1.5) or 15 (experiment B, 80 and 20: method III with three losses), on synthetic metal or tile unless `--data`
names a folder. The paper's 5 runs of 100 epochs need a GPU; `--rows`, `--positions`, `--draws` and `--epochs` shorten
them. Expected: no method is better than the others beyond the spread of the runs (experiments/README.md).
The accuracies of Tables 8, 11 and 12 fit the printed test counts, those of 9, 10 and 13 `--protocol=accuracy`.
"""

import numpy as np
from absl import flags

from experiments import runner, statistics
from experiments.page import Column, Result, Row, Table
from experiments.runs import by_row
from experiments.statistics import section
from experiments.takimoto.run import SETTINGS, check, estimate, train
from fsad import metrics
from fsad.backbones import POSITIONS
from fsad.recipes.takimoto import BATCH_SIZES

FLAGS = flags.FLAGS
flags.DEFINE_integer("table", 11, "number of the table", lower_bound=8, upper_bound=13)
flags.DEFINE_list("positions", None, "only the rows with attention behind these convolutions")
flags.DEFINE_enum("batching", None, [*BATCH_SIZES], "pairs, as in the paper, or all pairs among some images")
flags.DEFINE_float("margin", None, "m of the loss of output-1; by default twice the median distance of different pairs")
flags.DEFINE_float("branch_margin", None, "the same of output-2")
flags.DEFINE_bool("residual", None, "attention passes on (1 + M) F in place of M F")
flags.DEFINE_integer("normal", None, "normal training images; 80 in the paper", lower_bound=2)
flags.DEFINE_integer("abnormal", None, "abnormal training images; 40 or 20 in the paper", lower_bound=2)
flags.DEFINE_enum("protocol", None, ["printed", "accuracy"], "test counts: as printed, or as the accuracies imply")

COLUMNS = (
    Column("auc", "AUC", "{:.4f}"),
    Column("accuracy", "Accuracy"),
    Column("recall", "Recall"),
    Column("specificity", "Specificity"),
)
KEYS = tuple(column.key for column in COLUMNS)
# As printed: AUC, accuracy, recall and specificity of each row.
EXPERIMENT_A = """
            Table 8                    Table 9                    Table 10                   Table 11
I           0.9397 0.867 0.930 0.803  0.8868 0.784 0.640 0.986  0.9335 0.953 1.000 0.849  0.9681 0.785 0.590 0.980
II_2        0.9409 0.865 0.910 0.820  0.8894 0.805 0.690 0.966  0.9388 0.952 1.000 0.844  0.9596 0.808 0.636 0.980
II_4        0.9406 0.854 0.898 0.810  0.8895 0.790 0.652 0.983  0.9342 0.952 1.000 0.844  0.9590 0.795 0.614 0.975
II_7        0.9373 0.861 0.915 0.807  0.8925 0.782 0.654 0.980  0.9323 0.966 1.000 0.889  0.9563 0.793 0.600 0.985
II_10       0.9433 0.859 0.916 0.802  0.8901 0.795 0.664 0.983  0.9352 0.946 1.000 0.827  0.9701 0.792 0.604 0.980
II_13       0.9381 0.854 0.928 0.780  0.8892 0.794 0.674 0.963  0.9354 0.954 1.000 0.853  0.9739 0.797 0.624 0.970
III_1.0_2   0.9464 0.871 0.908 0.833  0.9000 0.793 0.670 0.963  0.9388 0.956 1.000 0.858  0.9685 0.786 0.592 0.980
III_1.0_4   0.9486 0.867 0.878 0.856  0.9013 0.781 0.640 0.980  0.9393 0.959 0.980 0.871  0.9640 0.769 0.552 0.985
III_1.0_7   0.9316 0.853 0.891 0.816  0.8970 0.790 0.656 0.972  0.9352 0.964 1.000 0.884  0.9636 0.776 0.572 0.980
III_1.0_10  0.9302 0.840 0.902 0.777  0.8975 0.809 0.684 0.983  0.9346 0.949 1.000 0.836  0.9739 0.814 0.648 0.980
III_1.0_13  0.9331 0.853 0.876 0.830  0.8886 0.794 0.666 0.972  0.9562 0.955 1.000 0.853  0.9691 0.824 0.668 0.980
III_1.5_2   0.9494 0.869 0.910 0.828  0.8866 0.767 0.620 0.975  0.9505 0.946 1.000 0.827  0.9621 0.789 0.602 0.975
III_1.5_4   0.9477 0.869 0.884 0.853  0.8959 0.785 0.650 0.975  0.9387 0.961 1.000 0.876  0.9751 0.755 0.534 0.975
III_1.5_7   0.9429 0.872 0.898 0.846  0.8995 0.802 0.678 0.983  0.9356 0.966 1.000 0.889  0.9756 0.789 0.602 0.970
III_1.5_10  0.9330 0.860 0.874 0.846  0.8997 0.807 0.680 0.986  0.9346 0.948 1.000 0.831  0.9801 0.821 0.656 0.985
III_1.5_13  0.9114 0.837 0.890 0.777  0.8863 0.794 0.678 0.958  0.9579 0.948 1.000 0.831  0.9838 0.800 0.604 0.995
"""
EXPERIMENT_B = """
            Table 12                   Table 13
CL_2       0.9526 0.807 0.984 0.630  0.9601 0.830 0.824 0.845
CL_4       0.9424 0.799 0.982 0.616  0.9638 0.811 0.784 0.880
CL_7       0.9414 0.769 0.984 0.554  0.9776 0.851 0.830 0.905
CL_10      0.9481 0.769 0.984 0.554  0.9765 0.899 0.920 0.845
CL_13      0.9320 0.760 0.992 0.528  0.9820 0.851 0.850 0.855
PBCL_1_2   0.9686 0.796 0.996 0.597  0.9638 0.841 0.870 0.770
PBCL_1_4   0.9675 0.817 0.994 0.639  0.9597 0.821 0.808 0.855
PBCL_1_7   0.9611 0.759 0.986 0.531  0.9829 0.845 0.826 0.895
PBCL_1_10  0.9604 0.704 0.996 0.413  0.9699 0.823 0.836 0.790
PBCL_1_13  0.9632 0.718 1.000 0.436  0.9854 0.843 0.810 0.925
PBCL_2_2   0.9628 0.741 0.996 0.485  0.9654 0.844 0.854 0.820
PBCL_2_4   0.9594 0.764 0.994 0.534  0.9579 0.819 0.808 0.845
PBCL_2_7   0.9640 0.764 0.994 0.508  0.9821 0.851 0.842 0.875
PBCL_2_10  0.9643 0.708 0.996 0.420  0.9639 0.870 0.916 0.755
PBCL_2_13  0.9497 0.747 0.998 0.495  0.9785 0.873 0.890 0.830
"""
LOSSES = (
    ("CL", "CL", {}),
    ("PBCL_1", "PBCL, alpha = 4, beta = 1", {"loss": "pair_balanced", "beta": 1.0}),
    ("PBCL_2", "PBCL, alpha = 4, beta = 2", {"loss": "pair_balanced", "beta": 2.0}),
)
ROWS_A = [("I", "I: backbone", {})]
ROWS_A += [(f"II_{n}", f"II: attention, N = {n}", {"position": n}) for n in POSITIONS]
ROWS_A += [
    (f"III_{w}_{n}", f"III: attention + ABL, w = {w}, N = {n}", {"position": n, "branch_weight": w})
    for w in (1.0, 1.5)
    for n in POSITIONS
]
ROWS_B = [
    (f"{key}_{n}", f"III: {title}, N = {n}", {"position": n, "branch_weight": 1.0, **settings})
    for key, title, settings in LOSSES
    for n in POSITIONS
]


def _tables(experiment, rows, abnormal, printed, tables):
    """The tables of an experiment; ``tables``: number, category, test images per class, data by default, as printed."""
    lines = {key: values for key, *values in map(str.split, printed.splitlines()[2:])}
    for k, (number, category, tested, data) in enumerate(tables):
        cells = {key: dict(zip(KEYS, values[4 * k : 4 * k + 4], strict=True)) for key, values in lines.items()}
        yield (
            number,
            Table(
                name=f"takimoto_table{number}",
                title=f"Table {number}: {category}, experiment {experiment}",
                columns=COLUMNS,
                rows=tuple(Row(key, title, settings, cells[key], draws=5) for key, title, settings in rows),
                settings={**SETTINGS, "data": data, "abnormal": abnormal, "test_per_class": tested},
                notes=(f"Paper: MVTec AD {category}. Recall is of the normal, specificity of the abnormal images.",),
            ),
        )


IN_A = (
    (8, "capsule", 61, "synthetic-metal"),
    (9, "screw", 71, "synthetic-metal"),
    (10, "carpet", 45, "synthetic-tile"),
    (11, "tile", 40, "synthetic-tile"),
)
IN_B = ((12, "capsule", 61, "synthetic-metal"), (13, "tile", 40, "synthetic-tile"))
TABLES = dict([*_tables("A", ROWS_A, 40, EXPERIMENT_A, IN_A), *_tables("B", ROWS_B, 20, EXPERIMENT_B, IN_B)])


def _auc(labels, scores, threshold):
    return [metrics.auroc(labels, scores)]


def _nearest(labels, scores, threshold):
    """Accuracy, recall of the normal, specificity of the abnormal; a margin above 0 is called abnormal."""
    right = (scores > threshold) == labels
    return [right.mean(), right[labels == 0].mean(), right[labels == 1].mean()]


def report(runs):
    """Results by row, and what goes beyond the paper: both embeddings, attention as a localiser, the margin."""
    results, beyond = {}, []
    for row, records in by_row(runs):
        cells = {}
        for score, statistic, keys in (("centroid", _auc, KEYS[:1]), ("nearest", _nearest, KEYS[1:])):
            draws = [statistics.draw(r["test"], r["test"]["output_1"][score], 0.0) for r in records]
            cells |= statistics.cells(statistic, keys, draws, resamples=500)[0]
        results[row.key] = Result(cells, (_note(records),))
        beyond += [{"": row.title, **_beyond(record)} for record in records]
    text = (
        "Both: judged by output-1 and output-2 together, the paper's future work. Attention: pixel AUROC of the "
        "attention map against the masks of the defective images, beside that of the mean map, which knows nothing of "
        "the image."
    )
    sections = [_differences(by_row(runs)), section("Beyond the paper", text, beyond)]
    return results, "\n\n".join(filter(None, sections)), {}


def baseline(key):
    """The key of the row that a row adds one thing to: II to I, III to II, the pair-balanced loss to the plain one."""
    parts = key.split("_")
    if parts[0] == "II":
        return "I"
    return {"III": f"II_{parts[-1]}", "PBCL": f"CL_{parts[-1]}"}.get(parts[0])


def _differences(rows):
    """What attention, the branch and the pair-balanced loss add, on the same draws: at each position, and over all."""
    by_key = {row.key: {r["settings"]["seed"]: r for r in records} for row, records in rows}
    lines, over_all = [], {}
    for row, records in rows:
        before = by_key.get(baseline(row.key), {})
        for record in records:
            if earlier := before.get(record["settings"]["seed"]):
                line = {name: after - _figures(earlier)[name] for name, after in _figures(record).items()}
                lines.append({"": row.title.split(", N")[0], "N": row.key.split("_")[-1], **line})
                over_all.setdefault((lines[-1][""], record["settings"]["seed"]), []).append(line)
    if not lines:
        return ""
    for (title, _), parts in over_all.items():
        mean = {name: np.mean([part[name] for part in parts]) for name in parts[0]}
        lines.append({"": title, "N": f"mean of {len(parts)}", **mean})
    text = (
        "Difference to the row without it (II to I, III to II at the same N, the pair-balanced loss to the plain one), "
        "on the same draws and from the same weights: mean ± standard deviation over the draws. The lines of means "
        "average over the positions first."
    )
    return section("What each piece adds", text, lines, names=2)


def _figures(record):
    labels, scores = np.array(record["test"]["label"]), record["test"]["output_1"]
    accuracy, recall, specificity = _nearest(labels, np.array(scores["nearest"]), 0.0)
    auc = _auc(labels, scores["centroid"], 0.0)[0]
    return {"AUC": auc, "Accuracy": accuracy, "Recall": recall, "Specificity": specificity}


def _beyond(record):
    labels, both = np.array(record["test"]["label"]), record["test"].get("both")
    attention = record["attention"] or {}
    return {
        "AUC, both": _auc(labels, both["centroid"], 0)[0] if both else None,
        "Accuracy, both": _nearest(labels, np.array(both["nearest"]), 0)[0] if both else None,
        "attention": attention.get("pixel_auroc"),
        "mean map": attention.get("mean_map"),
        "margin": record["margin"],
        "margin, branch": record["branch_margin"],
    }


def _note(records):
    first = records[0]["settings"]
    counts = sorted({(r["test"]["label"].count(0), r["test"]["label"].count(1)) for r in records})
    tested = " or ".join(f"{normal} + {abnormal}" for normal, abnormal in counts)
    size = first["batch_size"] or BATCH_SIZES[first["batching"]]
    return (
        f"{len(records)} runs, {first['backbone']} from {records[0]['weights_loaded']} weights, {first['normal']} + "
        f"{first['abnormal']} training images, {first['epochs']} epochs, {size} {first['batching']} per step, "
        f"Adam at {first['learning_rate']:g}, {tested} test images (normal + abnormal)."
    )


def main(_):
    table = TABLES[FLAGS.table]
    if FLAGS.positions:
        keys = [row.key for row in table.rows if str(row.settings.get("position")) in FLAGS.positions]
        FLAGS.rows = [key for key in keys if FLAGS.rows is None or key in FLAGS.rows]
    runner.remake(table, train, report, check, estimate)


if __name__ == "__main__":
    runner.run_main(main)
