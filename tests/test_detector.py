import logging
import subprocess
import sys

import numpy as np
import pytest

import fsad
from fsad import images, recipes


def test_tells_defective_from_good_and_shows_where(fitted, parts):
    findings = fitted.inspect(parts / "test")
    assert len(findings) == 6 + 14
    scores = np.array([f.score for f in findings])
    labels = np.array([f.label for f in findings])
    assert np.median(scores[labels == 1]) > scores[labels == 0].max()
    for f in findings:
        assert f.verdict == ("defective" if f.score > fitted.threshold.value else "good")
        assert 0.5 <= f.confidence <= 1 and f.map.shape == (6, 6) and f.error is None
        assert 0 <= f.nearest < 18 and f.picture is None


def test_score_inspect_and_stream_agree_whatever_the_batch(fitted, parts):
    folder = parts / "test" / "hole"
    paths = sorted(folder.glob("*.png"))
    together = fitted.score([parts / "test" / "good", *paths])
    assert np.allclose(together[-2:], [fitted.score(p)[0] for p in paths], atol=1e-6)
    assert np.allclose(together[-2:], [f.score for f in fitted.inspect(paths)], atol=1e-6)
    assert np.allclose(together[-2:], fitted.score([images.read(p) for p in paths]), atol=1e-6)


def test_threshold_can_be_overridden(fitted, parts):
    folder = parts / "test" / "hole"
    assert {f.verdict for f in fitted.inspect(folder, threshold=0)} == {"defective"}
    assert {f.verdict for f in fitted.inspect(folder, threshold=9)} == {"good"}


def test_bad_files_become_findings_with_their_reason(fitted, parts, tmp_path, caplog):
    (tmp_path / "bad.png").write_text("text")
    good = parts / "test" / "good" / "003.png"
    first, second = fitted.inspect([tmp_path / "bad.png", good])
    assert "not a PNG" in first.error and first.score is None and second.error is None
    with caplog.at_level(logging.WARNING):
        scores = fitted.score([tmp_path / "bad.png", good])
    assert np.isnan(scores[0]) and scores[1] == pytest.approx(second.score) and "bad.png" in caplog.text


def test_held_out_scores_do_not_know_the_picture(fitted, parts):
    record = fitted.fitted.training[0]
    assert record["reference"] == 0
    assert fitted.score(record["name"])[0] == pytest.approx(0, abs=1e-5)  # it is a reference itself
    assert record["score"] > 0.001


def test_saved_loaded_in_a_fresh_process_scores_the_same(fitted, parts, tmp_path):
    folder = fitted.save(tmp_path / "detector")
    assert sorted(p.name for p in folder.iterdir()) == ["detector.json", "model.keras", "references.npz"]
    script = (
        "import sys, fsad, numpy as np; d = fsad.load(sys.argv[1]);"
        "np.save(sys.argv[3], d.score(sys.argv[2])); assert d.threshold.value == float(sys.argv[4])"
    )
    arguments = [str(folder), str(parts), str(tmp_path / "s.npy"), repr(fitted.threshold.value)]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    assert np.array_equal(np.load(tmp_path / "s.npy"), fitted.score(parts))
    loaded = fsad.load(folder)
    assert loaded.threshold == fitted.threshold and loaded.fitted.training == fitted.fitted.training
    assert np.array_equal(loaded.heat(loaded.explain(parts / "test" / "hole" / "001.png")),
                          fitted.heat(fitted.explain(parts / "test" / "hole" / "001.png")))  # fmt: skip


def test_works_without_defective_pictures_and_from_arrays(parts):
    good = images.read_all(sorted((parts / "train" / "good").glob("*.png"))[:6], 96)
    detector = fsad.Detector(backbone="filter_bank", side=96).fit(good, progress=False)
    assert detector.threshold.defective == () and len(detector.threshold.good) == 6
    assert detector.score(parts / "test" / "hole").min() > detector.threshold.value


def test_more_good_pictures_than_references(parts):
    detector = fsad.Detector(backbone="filter_bank", side=96, max_references=5)
    detector.fit(parts / "train" / "good", progress=False)
    assert len(detector.fitted.references) == 5 and len(detector.threshold.good) == 18


def test_a_recipe_that_trains_holds_pictures_out_for_its_threshold(parts, tiny_recipe, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: tiny_recipe(epochs=3))
    detector = fsad.Detector("tiny", folds=3).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert len(detector.fitted.references) == 9  # half of the good pictures are anchors
    assert len(detector.threshold.good) == 18 and len(detector.threshold.defective) == 2
    assert "held-out" in detector.threshold.how and detector.methods == ("saliency", "gradcam")
    assert detector.inspect(parts / "test" / "hole")[0].map.shape == (16, 16)
    optimistic = fsad.Detector("tiny", folds=0).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert "training" in optimistic.threshold.how
    with pytest.raises(ValueError, match="learns from them"):
        fsad.Detector("tiny").fit(parts / "train" / "good", progress=False)


def test_a_recipe_with_attention_shows_it(parts, monkeypatch, tmp_path):
    def small(**settings):
        return recipes.takimoto("mobilenet", "none", 10, side=32, epochs=1, **settings)

    monkeypatch.setitem(recipes.RECIPES, "takimoto", small)
    detector = fsad.Detector("takimoto", folds=0).fit(parts / "train" / "good", parts / "test" / "hole", progress=False)
    assert detector.methods == ("attention", "saliency", "gradcam") and len(detector.fitted.references) == 18
    finding = detector.explain(parts / "test" / "hole" / "001.png")
    assert finding.map.shape == (2, 2) and 0 < finding.map.min() <= finding.map.max() < 1
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert np.array_equal(loaded.explain(parts / "test" / "hole" / "001.png").map, finding.map)


def test_explains_by_each_method(fitted, parts):
    picture = parts / "test" / "hole" / "001.png"
    assert fitted.explain(picture).map.shape == (6, 6)
    finding = fitted.explain(picture, "saliency")
    assert finding.map.shape == (96, 96) and finding.map.max() > 0 and finding.picture.shape == (96, 96, 3)
    assert fitted.heat(finding, "saliency").max() == 1
    assert fitted.explain(picture, "gradcam").map.shape == (6, 6)
    with pytest.raises(ValueError, match="Expected a method among patches, saliency, gradcam"):
        fitted.explain(picture, "magic")
    with pytest.raises(ValueError, match="Expected one picture"):
        fitted.explain(parts / "test" / "hole")


@pytest.mark.parametrize(
    ("good", "message"),
    [("test", "which its folder says is color"), ("train/good/000.png", "Received: 1 pictures, all near-dup")],
)
def test_refuses_to_fit(parts, good, message):
    with pytest.raises(ValueError, match=message):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / good, progress=False)


def test_refuses_unknown_names_and_use_before_fit():
    with pytest.raises(ValueError, match="Expected a recipe among"):
        fsad.Detector("magic")
    with pytest.raises(ValueError, match="Expected settings of the recipe patches"):
        fsad.Detector(colour="red").fit(np.zeros((2, 20, 20, 3), np.uint8), progress=False)
    with pytest.raises(RuntimeError, match="call fit first"):
        fsad.Detector().score("x.png")


def test_same_picture_on_both_sides_is_told(parts, tmp_path, caplog):
    same = parts / "train" / "good" / "000.png"
    with caplog.at_level(logging.WARNING):
        fsad.Detector(backbone="filter_bank", side=96).fit(parts / "train" / "good", same, progress=False)
    assert "given as good and as defective" in caplog.text


def test_a_flat_background_scores_the_same_alone_and_in_a_batch(rng):
    """Where nothing is to be seen, rounding must not become a direction."""
    pictures = np.full((9, 96, 96, 3), 248, np.uint8)
    pictures[:, 32:64, 32:64] = rng.integers(0, 256, (9, 32, 32, 3))
    for background in (248, 0):
        pictures[:, :16] = background
        detector = fsad.Detector(backbone="filter_bank", side=96).fit(pictures, progress=False)
        assert np.allclose(detector.score(pictures), [detector.score(p)[0] for p in pictures], atol=1e-5)
        assert detector.score(pictures).max() < 1e-4  # they are the references


def test_fewer_than_twenty_pictures_of_one_outline_are_still_different_parts(rng, caplog):
    y, x = np.mgrid[-48:48, -48:48]
    ring = 255 * ((np.hypot(x, y) > 20) & (np.hypot(x, y) < 40))[..., None]
    pictures = np.clip(ring + rng.normal(0, 12, (8, 96, 96, 1)), 0, 255).astype(np.uint8).repeat(3, -1)
    detector = fsad.Detector(backbone="filter_bank", side=96).fit(pictures, progress=False)
    assert len(detector.threshold.good) == 8 and "each is taken for a part of its own" in caplog.text


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="max_references >= 1"):
        fsad.Detector(max_references=0)
    with pytest.raises(ValueError, match="side of at least 32"):
        fsad.Detector(side=8).fit(np.zeros((2, 20, 20, 3), np.uint8), progress=False)
    with pytest.raises(ValueError, match=r"miss rate. Received: none"):
        fsad.Detector(miss_rate=0.1, backbone="filter_bank").fit(np.zeros((2, 20, 20, 3), np.uint8), progress=False)
