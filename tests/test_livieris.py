import dataclasses
import json

import numpy as np
import pytest

from experiments import data, livieris, livieris_figures, livieris_maps, livieris_reports, livieris_table1, study
from fsad import images, synthetic
from fsad.explain import boxes


def test_what_the_printed_table_says():
    original, cropped = (livieris_table1.PAPER[way] for way in ("original", "cropped"))
    # 864 pairs: the accuracies are whole counts, and the AUC is that of zeros and ones, which is the accuracy.
    for correct, row in ((753, original), (763, cropped)):
        assert f"{correct / 864:.2%}" == row["accuracy"] and f"{correct / 864:.3f}" == row["auc_of_verdicts"]
    # Recall as the mean over both verdicts is accuracy too, of equally many pairs: so it is in one of the two rows.
    assert original["recall"] == original["auc_of_verdicts"] and cropped["recall"] != cropped["auc_of_verdicts"]


def test_statistics_by_hand():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    found = dict(zip(livieris_reports.KEYS, livieris_reports.statistics(labels, scores, 0.5), strict=True))
    # Verdicts 0 1 1 1: precision 2/3 for different and 1 for same, recall 1 and 1/2.
    assert found["accuracy"] == 0.75 and found["auc"] == 1.0
    assert found["auc_of_verdicts"] == found["recall"] == 0.75
    assert found["precision"] == pytest.approx((2 / 3 + 1) / 2)


def test_one_pair_a_picture_half_of_them_same(rng):
    index = np.stack([np.tile(np.arange(20), 2), rng.integers(20, 40, 40)], 1)
    told = np.repeat([0.0, 1.0], 20)[:, None]
    index, told = livieris.one_each(index, told, rng)
    assert sorted(index[:, 0]) == list(range(20)) and told.sum() == 10


def test_overlap_by_hand():
    assert livieris_maps._overlap(boxes.Box(0, 0, 4, 4), boxes.Box(2, 0, 6, 4)) == 8 / 24
    assert livieris_maps._overlap(boxes.Box(0, 0, 2, 2), boxes.Box(3, 3, 5, 5)) == 0


def test_a_run_trains_crops_and_compares(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    folder = synthetic.write_flowers(tmp_path / "flowers", each=12, size=64)
    settings = {**livieris.SETTINGS, "data": str(folder), "backbone": "custom_cnn", "side": 96, "epochs": 2, "seed": 0,
                "similarity": 0.0, "precision": "float32"}  # fmt: skip
    livieris.check(settings)
    epochs = []
    record, arrays = livieris.train(settings, epochs.append)
    json.dumps(record)
    test = record["test"]
    count = len(test["label"])
    assert 8 <= count <= 16 and abs(sum(test["label"]) - count / 2) <= 1 and len(epochs) == 6
    for way in livieris.WAYS:
        assert len(test[way]) == count and np.isfinite(test[way]).all()
    kept = livieris.kept(settings)
    assert {p.name for p in kept.iterdir()} == {
        "cropped",
        "magnitude",
        "blind",
        *(f"{w}.keras" for w in livieris.TRAINED),
    }
    # Every picture was written, those that were cut smaller; the blind way has those of the test alone.
    whole = sorted(folder.glob("*/[0-9]*.png"))
    written = [kept / "cropped" / f"{p.relative_to(folder)}.png" for p in whole]
    assert len(whole) == 60 and all(p.is_file() for p in written)
    smaller = [images.read(p).shape != (64, 64, 3) for p in written]
    cut = record["cut"]["cropped"]
    assert 0 < sum(smaller) <= cut["training"]["pictures"] + cut["test"]["pictures"]
    assert len(list((kept / "blind").rglob("*.png"))) == record["cut"]["blind"]["test"]["of"]
    assert 0 <= record["located"]["magnitude"] <= 1 and arrays["partner"].shape == (60,)
    assert (arrays["cropped"][:, 0] >= 0).sum() == cut["training"]["pictures"] + cut["test"]["pictures"]

    @dataclasses.dataclass(frozen=True)
    class Finished(study.Run):
        def load(self):
            return {"settings": settings, **record}, arrays

    run = Finished(livieris_table1.TABLE.rows[0], settings, tmp_path)
    results, sections, _ = livieris_reports.report([run])
    cells = results["synthetic"].cells
    assert set(cells) == set(livieris_reports.KEYS) and cells["auc_of_verdicts"]["mean"] == cells["recall"]["mean"]
    assert "| Synthetic flowers | blind |" in sections and "Where the maps lie" in sections
    names = {name.removeprefix("livieris_flowers_") for name in livieris_figures.draw(run)}
    assert names <= {"pair_same", "pair_same_mistaken", "pair_different", "pair_different_mistaken", "box",
                     "cropped_pair"} and len(names) >= 2  # fmt: skip


def test_only_class_folders_are_taken(tmp_path, parts):
    with pytest.raises(ValueError, match="one folder a class"):
        livieris.check({**livieris.SETTINGS, "data": str(parts)})
    with pytest.raises(ValueError, match="--hold_out"):
        livieris.check({**livieris.SETTINGS, "data": str(parts), "hold_out": "hole"})
