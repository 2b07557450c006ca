"""``python -m experiments.baselines``: see `experiments.baselines.table`."""

from experiments.baselines import table

if __name__ == "__main__":
    table.main()
