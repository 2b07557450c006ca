"""Figures 3 and 4 of Senarathna and Wijesinghe (2025): saliency of defective pictures, custom CNN.

    make figures
    python -m experiments.senarathna_figures --data=/data/mvtec/leather,/data/marble

What you will see: a panel for each data set of Table III, one picture of each defect type, with score and
verdict. The models are those of Table III, first draw, trained now if they are not there. Where they are written:
`experiments.figures`.
"""

from experiments import figures, reports, senarathna, senarathna_table3

NUMBER = {"mvtec": 3, "marble": 4}  # figure of each row of Table III


def draw(run):
    record, _ = run.load()
    scores, area = record["test"][reports.REDUCTION], record["saliency"]
    measured = area if area["pixel_auroc"] is not None else None
    figure = figures.of_types(run, "Saliency", scores, reports.THRESHOLD, ("same", "different"), measured)
    return {f"senarathna_figure{NUMBER[run.row.key]}{figures.suffix(run, senarathna_table3.TABLE)}": figure}


if __name__ == "__main__":
    figures.main(senarathna_table3.TABLE, senarathna.train, senarathna.check, draw)
