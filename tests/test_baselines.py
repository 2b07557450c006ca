import keras
import numpy as np
import pytest

from experiments.baselines import autoencoder, fewsome, ganomaly, six_colours, svm, table, variational_autoencoder
from experiments.page import Row
from experiments.runner import Run
from fsad.images import write_image
from fsad.inputs import Sample
from fsad.splits import Shots


@pytest.fixture
def shots(tmp_path, rng):
    """Gray good images and much brighter defective ones; the test images are two of each."""

    def images(name, level, label, count):
        for k in range(count):
            write_image(tmp_path / f"{name}{k}.png", rng.integers(level, level + 20, (32, 32, 3)).astype(np.uint8))
            yield Sample(tmp_path / f"{name}{k}.png", label)

    test = (*images("good_test", 60, 0, 2), *images("bad_test", 200, 1, 2))
    support = (images("anchor", 60, 0, 2), images("good", 60, 0, 2), images("bad", 200, 1, 2))
    return Shots(*map(tuple, support), test)


def small_backbone(name, weights, side=32):
    image = keras.Input((side, side, 3))
    maps = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, maps, name="backbone"), "given"


@pytest.mark.parametrize(
    ("system", "epochs"),
    [(six_colours, None), (svm, None), (autoencoder, 8), (variational_autoencoder, 8), (ganomaly, 1), (fewsome, 3)],
)
def test_each_system_scores_every_test_image(system, epochs, shots, rng, monkeypatch):
    if epochs:
        monkeypatch.setattr(system, "EPOCHS", epochs)
    monkeypatch.setattr(fewsome, "SIDE", 32)
    monkeypatch.setattr(fewsome.backbones, "build", small_backbone)
    scores = system.scores(shots, "none", rng)
    assert np.shape(scores) == (4,) and np.isfinite(scores).all()
    if epochs != 1:  # after one epoch, or from random weights, nothing is learned
        assert np.max(scores[:2]) < np.min(scores[2:])


def test_the_divergence_by_hand():
    """Of N(1, 1) from N(0, 1): 1/2 per number."""
    assert np.allclose(variational_autoencoder.divergence(np.ones((2, 3)), np.zeros((2, 3))), 1.5)
    assert np.allclose(variational_autoencoder.squared_error(np.ones((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))), 12)


def test_fewsome_stops_by_the_fall_of_its_loss():
    assert fewsome.fall(4.0, 3.0) == 25
    assert float(fewsome.Distance()([np.zeros((1, 4)), np.ones((1, 4))])[0, 0]) == pytest.approx(1)


def test_the_section_has_a_line_per_method_and_a_column_per_data_set():
    class Finished(Run):
        def load(self):
            test = {"label": [0, 0, 1, 1], "group": [0, 1, 2, 3]}
            return {"test": test, "scores": self.settings["scores"], "seconds": 2.0}, {}

    runs = [
        Finished(row, {"scores": scores}, None)
        for row in table.TABLE.rows
        if row.key in ("tiles_svm", "leather_svm", "tiles_default")
        for scores in ([[1, 2, 3, 4]] if row.key != "leather_svm" else [[4, 3, 2, 1], [1, 2, 3, 4]])
    ]
    results, section, _ = table.report(runs)
    assert results["tiles_svm"].cells["auroc"]["mean"] == 1 and results["leather_svm"].cells["auroc"]["mean"] == 0.5
    assert "| SVM on frozen features | 1.000 | 0.500 ± 0.707 | 0.750 |" in section
    assert "| fsad's default | 1.000 | – | – |" in section


def test_every_method_is_on_every_data_set():
    assert len(table.TABLE.rows) == len(table.SETS) * len(table.METHODS) == len({row.key for row in table.TABLE.rows})
    assert isinstance(table.TABLE.rows[0], Row)
