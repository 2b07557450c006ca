"""What Senarathna and Wijesinghe (2025) leave open: which pairs, and the distances they name beside L1.

    python -m experiments.ablations.readings --data=aws_alien --test_per_class=0
    python -m experiments.ablations.readings

What you will see: the custom CNN with each image paired with the k-th anchor or with all of them, and with the
Euclidean, the cosine and a learnable distance, on the same draws; about as many pairs are seen in each. Half an hour on
two cores; the first row is the run of `experiments.senarathna.table1`. Toy figures (``aws_alien``) are a data set where
the recipe finds defects honestly.
"""

from experiments import runner
from experiments.data import check_shots
from experiments.page import Row, Table
from experiments.senarathna import report, table1
from experiments.senarathna.run import SETTINGS, train

ROWS = (
    ("kth_l1", "k-th with k-th, L1 (the tables)", {}),
    ("all_l1", "all pairs, L1", {"pairing": "all", "epochs": 3}),
    ("kth_euclidean", "k-th with k-th, Euclidean", {"distance": "euclidean"}),
    ("kth_cosine", "k-th with k-th, cosine", {"distance": "cosine"}),
    ("kth_learnable", "k-th with k-th, learnable", {"distance": "learnable"}),
)
TABLE = Table(
    name="study_readings",
    title="Paper S: readings of what it leaves open",
    columns=table1.TABLE.columns,
    rows=tuple(Row(key, title, settings, draws=3) for key, title, settings in ROWS),
    settings={**SETTINGS, "data": "synthetic-leather", "epochs": 20},
    hidden_settings=report.HIDDEN,
    notes=('Positive is "same".',),
)

if __name__ == "__main__":
    runner.main(TABLE, train, report.scores, check_shots)
