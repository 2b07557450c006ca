import numpy as np
import pytest

import fsad


@pytest.fixture
def detector(parts):
    good = sorted((parts / "train" / "good").iterdir())[:8]
    return fsad.Detector(backbone="filter_bank", side=96).fit(good, progress=False)


def test_a_false_alarm_becomes_a_reference_and_undo_forgets_it(detector, parts, tmp_path):
    alarm = parts / "test" / "hole" / "000.png"  # as if it were good
    before, threshold = detector.score(parts), detector.threshold
    entry = detector.learn(good=alarm, by="Ada", progress=False)
    (image,) = entry["images"]
    assert image["role"] == "good" and image["score_before"] > threshold.value and entry["by"] == "Ada"
    assert len(detector.fitted.thumbnails) == 9
    names = [r["name"] for r in detector.fitted.training if r["reference"] is not None]
    assert str(alarm) in names and detector.score(alarm)[0] < image["score_before"]
    assert entry["threshold_after"] == detector.threshold.value
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert loaded.fitted.journal == (entry,) and np.allclose(loaded.score(parts), detector.score(parts), atol=1e-3)
    loaded.undo(progress=False)
    assert loaded.fitted.journal == () and loaded.threshold == threshold
    assert np.allclose(loaded.score(parts), before, atol=1e-4)
    with pytest.raises(ValueError, match="empty journal"):
        loaded.undo(progress=False)


def test_missed_defects_weigh(detector, parts):
    missed = sorted((parts / "test" / "hole").iterdir())
    for path in missed:
        detector.learn(defect=path, progress=False)
    assert len(missed) == len(detector.fitted.journal) == len(detector.threshold.defective) == 2
    assert detector.score(missed).min() > detector.threshold.value
    layer = detector.model.layers[-1].layers[-1]
    assert np.ptp(np.asarray(layer.weight)) > 0  # no longer equal


def test_what_was_learned_stays_when_references_are_few(parts):
    good = sorted((parts / "train" / "good").iterdir())
    detector = fsad.Detector(backbone="filter_bank", side=96, max_references=4).fit(good[:6], progress=False)
    detector.learn(good=good[6:9], progress=False)
    names = {r["name"] for r in detector.fitted.training if r["reference"] is not None}
    assert len(names) == 4 and {str(path) for path in good[6:9]} <= names


def test_refuses(detector, parts, tmp_path):
    with pytest.raises(ValueError, match="Expected good or defective images to learn from"):
        detector.learn()
    with pytest.raises(ValueError, match=r"new to the detector. Received: one that it was fitted with as good"):
        detector.learn(good=parts / "train" / "good" / "000.png", progress=False)
    (tmp_path / "broken.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"Expected readable images"):
        detector.learn(good=tmp_path / "broken.png", progress=False)
