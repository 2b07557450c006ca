"""``python -m experiments.explanations``; see `experiments.explanations.table`."""

from experiments import runner
from experiments.explanations.run import check, train
from experiments.explanations.table import TABLE, report

if __name__ == "__main__":
    runner.main(TABLE, train, report, check)
