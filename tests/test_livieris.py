import json

import numpy as np
import pytest

from experiments import data
from experiments.livieris import figures, run, table1
from experiments.runner import Run
from fsad import synthetic
from fsad.images import resize
from fsad.inputs import Sample


def test_what_the_printed_table_says():
    # 864 pairs: the accuracies are whole counts, and the AUC is that of zeros and ones, which is the accuracy.
    for correct, way in ((753, "original"), (763, "cropped")):
        printed = table1.PAPER[way]
        assert (f"{correct / 864:.2%}", f"{correct / 864:.3f}") == (printed["accuracy"], printed["auc_of_verdicts"])


def test_statistics_by_hand():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    values = dict(zip(table1.KEYS, table1.pair_statistics(labels, scores, 0.5), strict=True))
    # Verdicts 0 1 1 1: precision 2/3 for different and 1 for same, recall 1 and 1/2.
    assert values["accuracy"] == values["auc_of_verdicts"] == values["recall"] == 0.75 and values["auc"] == 1.0
    assert values["precision"] == pytest.approx((2 / 3 + 1) / 2)


def test_one_pair_per_image_half_of_them_same_or_both(rng):
    index, labels = (
        np.stack([np.tile(np.arange(20), 2), rng.integers(20, 40, 40)], 1),
        np.repeat([0.0, 1.0], 20)[:, None],
    )
    both, _ = run.tested("code", index, labels, rng)
    one, its_labels = run.tested("text", index, labels, rng)
    assert (both == index).all() and sorted(one[:, 0]) == list(range(20)) and its_labels.sum() == 10


def test_images_are_cropped_to_the_box_of_their_map(rng):
    images = rng.integers(0, 256, (2, 40, 40, 3)).astype(np.uint8)
    left = np.zeros((4, 4))
    left[:, 0] = 1
    cropped, boxes, fractions = run.read_cropped([Sample(image) for image in images], {1: left}, 20)
    assert (cropped[0] == resize(images[0], 20)).all() and boxes[0].tolist() == [-1] * 4 and np.isnan(fractions[0])
    left, top, right, bottom = boxes[1]
    assert (top, bottom, left) == (0, 40, 0) and right < 20 and fractions[1] == right / 40
    assert (cropped[1] == resize(images[1][:, :right], 20)).all()


@pytest.mark.slow
def test_a_run_trains_crops_and_compares(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    folder = synthetic.write_flowers(tmp_path / "flowers", each=12, size=64)
    settings = {**run.SETTINGS, "data": str(folder), "backbone": "custom_cnn", "side": 96, "epochs": 2, "seed": 0,
                "similarity": 0.0, "precision": "float32", **data.DEFAULTS}  # fmt: skip
    run.check(settings)
    losses = []
    record, arrays = run.train(settings, losses.append)
    json.dumps(record)
    test, count = record["test"], len(record["test"]["label"])
    assert 8 <= count <= 16 and abs(sum(test["label"]) - count / 2) <= 1 and len(losses) == 4 * 2
    assert all(len(test[way]) == count and np.isfinite(test[way]).all() for way in run.WAYS)
    assert {path.name for path in run.models_folder(settings).iterdir()} == {f"{way}.keras" for way in run.TRAINED}
    # Uncropped and cropped images of a frozen backbone go through it once.
    assert (arrays["cropped"][:, 0] >= 0).all() and (arrays["similarity"] != arrays["cropped"]).any()
    # All are similar enough; in the blind way only test images are cropped, each once.
    assert record["crops"]["cropped"]["training"]["images"] == record["crops"]["cropped"]["training"]["of"]
    assert (arrays["blind"][:, 0] >= 0).sum() == record["crops"]["blind"]["test"]["of"] < 60
    assert 0 <= record["located"]["magnitude"] <= 1 and arrays["partner"].shape == (60,)

    class Finished(Run):
        def load(self):
            return {"settings": settings, **record}, arrays

    finished = Finished(table1.TABLE.rows[0], settings, tmp_path)
    results, sections, _ = table1.report([finished])
    cells = results["synthetic"].cells
    assert set(cells) == set(table1.KEYS) and cells["auc_of_verdicts"]["mean"] == cells["recall"]["mean"]
    assert "| Synthetic flowers | blind |" in sections and "## Where the maps lie" in sections
    names = {name.removeprefix("livieris_flowers_") for name in figures.draw(finished)}
    assert names <= {"pair_same", "pair_same_mistaken", "pair_different", "pair_different_mistaken", "box",
                     "cropped_pair"} and len(names) >= 2  # fmt: skip


def test_only_class_folders_are_taken(parts):
    with pytest.raises(ValueError, match="one folder per class"):
        run.check({**run.SETTINGS, "data": str(parts)})


@pytest.mark.parametrize(
    ("settings", "patience"),
    [({}, 5), ({"variant": "code"}, 25), ({"frozen": False}, 10), ({"variant": "code", "patience": 3}, 3)],
)
def test_patience_is_the_variant_s_unless_given(settings, patience):
    small = {"backbone": "custom_cnn", "side": 64}
    assert run.build({**run.SETTINGS, **small, **settings}).patience == patience
