import pytest

from experiments.takimoto import plan
from experiments.takimoto.tables import TABLES


def test_each_worker_takes_the_longest_run_that_is_left():
    # 5 | 4 + 2 | 3 + 3: the second run of 3 goes to the worker that had 3.
    assert plan.makespan([3, 5, 2, 3, 4], 3) == 6
    assert plan.makespan([1] * 5, 2) == 3 and plan.makespan([7, 1], 8) == 7


def test_full_length_is_as_the_paper_says():
    """94 rows in five runs of 100 epochs; all pairs of 120 images, 16 at a time, are 447 steps of an epoch."""
    rows = {number: list(plan.runs_of(table, "float32")) for number, table in TABLES.items()}
    assert [len(rows[number]) for number in rows] == [16, 16, 16, 16, 15, 15]
    assert {draws for some in rows.values() for _, draws in some} == {5}
    assert plan.steps(rows[8][0][0]) == 100 * -(-7140 // 16)


def test_the_page_adds_up_and_calls_its_assumptions_so():
    settings = next(plan.runs_of(TABLES[8], "float32"))[0]
    # 32 images of 224 x 224 a step.
    image = 3600 / (32 * (224 / 96) ** 2 * 44_700)
    assert plan.seconds(settings, image) == pytest.approx(3600)
    text = plan.page({8: TABLES[8]}, image, 8, [1], "float32")
    assert "| all | 80 | | | 80 |" in text and "**assumed**" in text and "--data=mvtec/capsule" in text
    assert "| 1 | 1.00 | 10.0 | 80 |" in text


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_no_schedule_beats_the_work_or_the_longest_run(workers, rng):
    seconds = rng.random(50)
    assert plan.makespan(seconds, workers) >= max(seconds.sum() / workers - 1e-9, seconds.max())
