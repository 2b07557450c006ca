import logging
import subprocess
import sys

import keras
import numpy as np
import pytest

import fsad
from fsad import metrics, recipes
from fsad.images import read_image


def test_tells_defective_from_good_and_shows_where(fitted, parts):
    predictions = fitted.inspect(parts / "test")
    assert len(predictions) == 6 + 14
    scores = np.array([p.score for p in predictions])
    labels = np.array([p.sample.label for p in predictions])
    assert metrics.auroc(labels, scores) > 0.6
    for p in predictions:
        assert p.verdict == ("defective" if p.score > fitted.threshold.value else "good")
        assert 0.5 <= p.confidence <= 1 and p.anomaly_map.shape == (6, 6) and p.error is None
        assert 0 <= p.nearest < 18 and p.image is None


def test_score_inspect_and_arrays_agree_whatever_the_batch(fitted, parts):
    folder = parts / "test" / "hole"
    paths = sorted(folder.glob("*.png"))
    together = fitted.score([parts / "test" / "good", *paths])
    assert np.allclose(together[-2:], [fitted.score(p)[0] for p in paths], atol=1e-4)
    assert np.allclose(together[-2:], [p.score for p in fitted.inspect(paths)], atol=1e-4)
    assert np.allclose(together[-2:], fitted.score([read_image(p) for p in paths]), atol=1e-4)


def test_threshold_can_be_overridden(fitted, parts):
    folder = parts / "test" / "hole"
    assert {p.verdict for p in fitted.inspect(folder, threshold=0)} == {"defective"}
    assert {p.verdict for p in fitted.inspect(folder, threshold=9)} == {"good"}


def test_unreadable_files_become_predictions_with_their_reason(fitted, parts, tmp_path, caplog):
    (tmp_path / "bad.png").write_text("text")
    good = parts / "test" / "good" / "003.png"
    first, second = fitted.inspect([tmp_path / "bad.png", good])
    assert "not a PNG" in first.error and first.score is None and second.error is None
    with caplog.at_level(logging.WARNING):
        scores = fitted.score([tmp_path / "bad.png", good])
    assert np.isnan(scores[0]) and scores[1] == pytest.approx(second.score) and "bad.png" in caplog.text


def test_saved_loaded_in_a_fresh_process_scores_the_same(fitted, saved, parts, tmp_path):
    folder = saved
    assert sorted(p.name for p in folder.iterdir()) == [
        "detector.json",
        "references.npz",
        "scorer.onnx",
        "weights.npz",
    ]
    script = (
        "import sys, fsad, numpy as np; d = fsad.load(sys.argv[1]);"
        "np.save(sys.argv[3], d.score(sys.argv[2])); assert d.threshold.value == float(sys.argv[4])"
    )
    arguments = [str(folder), str(parts), str(tmp_path / "s.npy"), repr(fitted.threshold.value)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    assert np.allclose(np.load(tmp_path / "s.npy"), fitted.score(parts), atol=1e-3)
    loaded = fsad.load(folder)
    assert loaded.threshold == fitted.threshold and loaded.fitted.training == fitted.fitted.training
    one = parts / "test" / "hole" / "001.png"
    maps = [d.display_map(d.explain(one)) for d in (loaded, fitted)]
    assert np.allclose(*maps, atol=1e-3)


def test_says_what_it_is(fitted):
    assert repr(fsad.Detector(backbone="mobilenet")) == "Detector('patches', backbone='mobilenet', not fitted)"
    assert fitted.scorer
    shown = repr(fitted)
    assert shown.startswith("Detector('patches', backbone='filter_bank', weights='fixed', references=18, threshold=")
    assert shown.endswith("runtime='tensorflow')")


def test_a_backbone_of_your_own(parts, tmp_path):
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for k in (1, 2):
        x = keras.layers.Conv2D(4 * k, 3, strides=4, padding="same", activation="relu", name=f"block_{k}")(x)
    backbone = keras.Model(image, x, name="small")
    detector = fsad.Detector(backbone=backbone, layers=["block_1"], side=96).fit(parts / "train/good", progress=False)
    assert detector.fitted.references.shape[1:] == (12, 12, 4) and detector.fitted.weights == "given"
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert "backbone='small'" in repr(loaded)
    assert np.allclose(loaded.score(parts / "test/hole"), detector.score(parts / "test/hole"), atol=1e-3)
    some = loaded.fitted.images[:2]
    assert np.allclose(loaded.traced()(some)["score"], loaded.scorer(some)["score"], atol=1e-3)


def test_a_recipe_and_a_backbone_of_one_size_of_your_own(parts, tmp_path, monkeypatch):
    from fsad import recipes

    image = keras.Input((96, 64, 3))
    x = keras.layers.Conv2D(6, 3, strides=8, padding="same", activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    backbone = keras.Model(image, x, name="small")

    def mine(backbone, weights="imagenet"):
        return recipes.patches.build(backbone, weights, smoothing=0)

    monkeypatch.setitem(recipes.RECIPES, "mine", mine)
    detector = fsad.Detector("mine", backbone=backbone).fit(parts / "train/good", progress=False)
    assert detector.size == (96, 64)
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert np.allclose(loaded.score(parts / "test/hole"), detector.score(parts / "test/hole"), atol=1e-3)


@pytest.mark.slow
def test_a_recipe_that_trains_holds_images_out_for_its_threshold(parts, tiny_recipe, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: tiny_recipe(epochs=2))
    monkeypatch.setattr("fsad.detector.RECIPES", tuple(recipes.RECIPES))
    detector = fsad.Detector("tiny", folds=2).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert len(detector.fitted.references) == 9  # half of the good images are anchors
    assert len(detector.threshold.good) == 18 and len(detector.threshold.defective) == 2
    assert "held-out" in detector.threshold.how and detector.methods[:2] == ("saliency", "gradcam")
    assert detector.inspect(parts / "test" / "hole")[0].anomaly_map.shape == (16, 16)
    optimistic = fsad.Detector("tiny", folds=0).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert "training" in optimistic.threshold.how
    with pytest.raises(ValueError, match="learns from them"):
        fsad.Detector("tiny").fit(parts / "train" / "good", progress=False)


@pytest.mark.slow
def test_a_recipe_with_attention_shows_it(parts, monkeypatch, tmp_path):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=16, padding="same", name="attended_to")(image)
    backbone = keras.Model(image, keras.layers.Conv2D(4, 1)(x))

    def small(**settings):
        return recipes.takimoto.build(backbone, position="attended_to", epochs=1, **settings)

    monkeypatch.setitem(recipes.RECIPES, "takimoto", small)
    detector = fsad.Detector("takimoto", folds=0).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert detector.methods[:3] == ("attention", "saliency", "gradcam") and len(detector.fitted.references) == 18
    one = parts / "test" / "hole" / "001.png"
    attended = detector.explain(one).anomaly_map
    assert attended.shape == (2, 2) and 0 < attended.min() <= attended.max() < 1
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert np.array_equal(loaded.explain(one).anomaly_map, attended)


@pytest.mark.slow
def test_paper_l_is_a_recipe_like_the_others(parts):
    settings = {"backbone": "filter_bank", "frozen": True, "side": 96, "learning_rate": 1e-2, "epochs": 2}
    detector = fsad.Detector("livieris", folds=2, **settings)
    detector.fit(parts / "train" / "good", str(parts / "test" / "*" / "000.png"), progress=False)
    assert len(detector.fitted.references) == 18 and "held-out" in detector.threshold.how
    scores = detector.score(parts / "test")
    assert ((scores >= 0) & (scores <= 1)).all() and np.ptp(scores) > 0


def test_explains_by_each_method(fitted, parts):
    one = parts / "test" / "hole" / "001.png"
    assert fitted.explain(one).anomaly_map.shape == (6, 6)
    prediction = fitted.explain(one, "saliency")
    assert prediction.anomaly_map.shape == (96, 96) and prediction.image.shape == (96, 96, 3)
    assert fitted.display_map(prediction, "saliency").max() == 1
    assert fitted.explain(one, "gradcam").anomaly_map.shape == (6, 6)
    with pytest.raises(ValueError, match="Expected a method among patches, saliency, gradcam"):
        fitted.explain(one, "magic")
    with pytest.raises(ValueError, match="Expected one image"):
        fitted.explain(parts / "test" / "hole")


def test_a_flat_background_scores_the_same_alone_and_in_a_batch(rng):
    """Where nothing is to be seen, rounding must not become a direction."""
    images = np.full((9, 96, 96, 3), 248, np.uint8)
    images[:, 32:64, 32:64] = rng.integers(0, 256, (9, 32, 32, 3))
    for background in (248, 0):
        images[:, :16] = background
        detector = fsad.Detector(backbone="filter_bank", side=96).fit(images, progress=False)
        assert np.allclose(detector.score(images), [detector.score(image)[0] for image in images], atol=1e-5)
        assert detector.score(images).max() < 1e-4  # they are the references


def test_refuses_unknown_names_and_use_before_fit():
    with pytest.raises(ValueError, match="Expected a recipe among patches, senarathna, takimoto, livieris"):
        fsad.Detector("magic")
    with pytest.raises(ValueError, match="Expected settings of the recipe patches"):
        fsad.Detector(colour="red").fit(np.zeros((2, 20, 20, 3), np.uint8), progress=False)
    with pytest.raises(RuntimeError, match="call fit first"):
        fsad.Detector().score("x.png")
    with pytest.raises(ValueError, match="max_references >= 1"):
        fsad.Detector(max_references=0)


def test_a_detector_of_the_same_images_and_seed_is_the_same_but_for_the_time(saved, parts, tmp_path):
    again = fsad.Detector(backbone="filter_bank", side=96, smoothing=0)
    again.fit(parts / "train" / "good", str(parts / "test" / "*" / "000.png"), progress=False).save(tmp_path / "again")
    for name in ("weights.npz", "references.npz", "scorer.onnx"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    first, second = (
        [line for line in (folder / "detector.json").read_text().splitlines() if '"written"' not in line]
        for folder in (saved, tmp_path / "again")
    )
    assert first[:-2] == second[:-2] and first[-2].startswith(' "sha256"')  # of what has the time in it
