import numpy as np

from experiments.benchmarks import large


def test_a_scratch_of_the_size_it_says(monkeypatch):
    monkeypatch.setattr(large, "WIDTH", 256)
    monkeypatch.setattr(large, "HEIGHT", 256)
    made, rng = large.surface(0)
    marked, (x, y) = large.scratched(made, rng, 0.5)
    rows, columns = np.nonzero(np.abs(marked.albedo - made.albedo).max(-1) > 0.05 * made.albedo.mean())
    assert np.ptp(columns) + 1 <= 30 + 8 and np.ptp(rows) + 1 <= 12 + 8 and len(rows) > 40
    assert abs(columns.mean() - x) < 2 and abs(rows.mean() - y) < 2


def test_a_line_by_hand():
    def one(score, alarm, there=False):
        return {"score": score, "alarm": alarm, "there": there}

    verdicts = {"good/0.png": one(0, False), "good/1.png": one(3, True)}
    verdicts |= {"plain/0.png": one(5, True, True), "faint/0.png": one(1, False)}
    result = {"size": (240, 320), "verdicts": verdicts, "fit_seconds": 9, "seconds": 0.5, "megabytes": 800}
    line = large.line("the default", result)
    assert line["plain: found"] == "1 of 1" and line["faint: found"] == "0 of 1" and line["false alarms"] == "1 of 2"
    assert line["plain: AUROC"] == "1.00" and line["faint: AUROC"] == "0.50" and line["input"] == "320 x 240"
