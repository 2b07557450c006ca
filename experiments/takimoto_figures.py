"""Attention maps of Takimoto et al. (2022) over their pictures, with the defect masks beside them.

    make figures
    python -m experiments.takimoto_figures --data=magnetic_tile
    python -m experiments.takimoto_figures --data=/data/mvtec/tile --backbone=vgg16 --learning_rate=1e-5 --epochs=100

What you will see: a panel for methods II and III behind the fourth and the tenth convolution, one picture of each
defect type. The network is MobileNet at 128 pixels, trained here in two minutes a panel (with random weights where
those of ImageNet are not reached); where the panels are written: `experiments.figures`.
"""

import dataclasses

from experiments import figures, takimoto, takimoto_table11

ROWS = ("II_4", "II_10", "III_1.0_10")
TABLE = dataclasses.replace(
    takimoto_table11.TABLE,
    rows=tuple(row for row in takimoto_table11.TABLE.rows if row.key in ROWS),
    settings={
        **takimoto_table11.TABLE.settings,
        "backbone": "mobilenet",
        "side": 128,
        "epochs": 8,
        "learning_rate": 1e-4,
        "batching": "pictures",
    },
)


def draw(run):
    record, _ = run.load()
    figure = figures.of_types(
        run,
        f"Method {run.row.title}\nAttention",
        record["test"]["output_1"]["nearest"],
        0.0,
        ("normal", "abnormal"),
        record["attention"],
        top=1.0,
        label="attention",
    )
    return {f"takimoto_attention_{run.row.key}{figures.suffix(run, TABLE)}": figure}


if __name__ == "__main__":
    figures.main(TABLE, takimoto.train, takimoto.check, draw)
