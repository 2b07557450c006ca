import cv2
import numpy as np
import pytest

from experiments import reports, senarathna
from fsad import images, metrics, synthetic


def test_a_bad_mask_is_found_before_the_training(tmp_path):
    folder = synthetic.write(tmp_path / "set", "metal", good=8, defective=1, size=64)
    for mask in folder.rglob("*_mask.png"):
        mask.write_bytes(b"")
    settings = {**easy_set(tmp_path / "e"), "data": str(folder), "anchors": 1, "good": 1, "defective": 1, "epochs": 1}
    heard = []
    with pytest.raises(images.ImageError, match=r"_mask\.png"):
        senarathna.train(settings, heard.append)
    assert heard == []


def easy_set(folder):
    """Synthetic leather; the defective pieces carry a dark disc that nobody overlooks."""
    for k in range(60):
        rng = np.random.default_rng([7, k])
        picture, _ = synthetic.draw("leather", "good", rng, size=128)
        if k >= 34:
            x, y = rng.integers(25, 103, 2)
            cv2.circle(picture, (int(x), int(y)), int(rng.integers(11, 20)), (25, 18, 12), -1)
        images.write(folder / ("defect" if k >= 34 else "good") / f"{k}.png", picture)
    return {**senarathna.SETTINGS, "data": str(folder), "backbone": "custom_cnn", "precision": "float32", "seed": 0}


def test_a_run_records_what_a_table_needs(tmp_path):
    settings = {**easy_set(tmp_path), "anchors": 1, "good": 1, "defective": 1, "epochs": 1}
    heard = []
    record, arrays = senarathna.train(settings, heard.append)
    assert record["losses"] == pytest.approx(heard)
    assert (
        record["data"] == f"{tmp_path.name}: 60 pictures of 60 distinct parts (26 defect, 34 good), good/defect layout"
    )
    assert record["parameters"] == 38_964_545 and record["weights_loaded"] == "random"
    test = record["test"]
    assert sum(test["label"]) == 25 and len(test["label"]) == 50
    support = {name for names in record["support"].values() for name in names}
    assert len(support) == 3 and not support & set(test["path"])
    assert all(0 <= s <= 1 for how in ("mean", "min", "first") for s in test[how])
    assert record["saliency"]["pixel_auroc"] is None  # this layout has no masks
    assert arrays["maps"].shape == (len(arrays["rows"]), 100, 100)


@pytest.mark.slow
def test_the_paper_s_network_finds_what_is_plain_to_see(tmp_path):
    record, _ = senarathna.train({**easy_set(tmp_path), "epochs": 15})
    draw = reports.draw_of(record)
    assert metrics.auroc(draw["labels"], draw["scores"]) > 0.95
