import numpy as np
import pytest

from fsad import thresholds


def test_separates_by_hand():
    # Separable: the middle of the gap.
    assert thresholds.separate([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
    # One good picture scores high: cutting above 0.2 loses it, and only it.
    assert thresholds.separate([0, 0, 0, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.9]) == pytest.approx(0.4)
    # Of two cuts with one error each, the wider gap.
    assert thresholds.separate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(0.6)
    assert thresholds.separate([0, 1], [0.5, 0.5]) == 0.5
    with pytest.raises(ValueError, match="Received: 0 defective of 2"):
        thresholds.separate([0, 0], [0.1, 0.2])


def test_without_defective_pictures_the_good_ones_set_it_and_it_says_so():
    good = np.arange(1, 17) / 100  # 16 support 1 in 17: their largest
    found = thresholds.choose(good)
    assert found.value == pytest.approx(0.16)
    assert "0.0588" in found.how and "No defective picture was given" in found.warnings[0]
    assert not any("support" in text for text in found.warnings)


def test_one_defective_picture_moves_it_into_the_gap_only():
    good = np.arange(1, 17) / 100
    above = thresholds.choose(good, [0.36])
    assert above.value == pytest.approx(0.26) and "gap" in above.how
    among = thresholds.choose(good, [0.05])
    assert among.value == pytest.approx(0.16)
    assert "1 of the 1 defective pictures given score below the threshold." in among.warnings


def test_eight_defective_pictures_place_the_best_cut():
    found = thresholds.choose(np.arange(16) / 100, 0.3 + np.arange(8) / 100)
    assert found.value == pytest.approx(0.225) and found.warnings == ()


def test_targets_are_conformal_quantiles():
    good, defective = np.arange(1, 100) / 100, 2 + np.arange(19) / 100
    # 99 good scores, one in a hundred: ceil(100 * 0.99) = the 99th; one in ten: the 90th.
    assert thresholds.choose(good, defective, false_alarm_rate=0.01).value == pytest.approx(0.99)
    assert thresholds.choose(good, defective, false_alarm_rate=0.1).value == pytest.approx(0.90)
    # 19 defective scores, one in ten: floor(20 * 0.1) = just under the 2nd smallest, so one is missed.
    missed = thresholds.choose(good, defective, miss_rate=0.1)
    assert (defective <= missed.value).sum() == 1 and missed.value == pytest.approx(2.01)


def test_warns_when_too_few_pictures_support_a_target():
    found = thresholds.choose(np.arange(16) / 100, false_alarm_rate=0.01)
    assert found.value == pytest.approx(0.15)
    assert any("16 good pictures support" in text and "takes 99" in text for text in found.warnings)
    found = thresholds.choose(np.arange(16) / 100, [0.5, 0.6], miss_rate=0.1)
    assert found.value < 0.5 and any("2 defective pictures support" in text for text in found.warnings)


def test_false_alarm_rate_is_kept_on_pictures_not_seen_before(rng):
    alarms = [(rng.normal() > thresholds.choose(rng.normal(size=19), false_alarm_rate=0.1).value) for _ in range(1500)]
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.025)  # exactly 2 / 20 in expectation


def test_confidence_is_a_half_at_the_threshold_and_never_certainty():
    found = thresholds.choose(np.arange(16) / 100, 0.3 + np.arange(8) / 100)
    sure = found.confidence([found.value, 0.0, 0.37])
    assert sure[0] == 0.5 and 0.8 < sure[1] < 1 and 0.8 < sure[2] < 1
    assert found.confidence([0.9], threshold=0.9) == 0.5
    # Classes that overlap give less sure verdicts.
    overlapping = thresholds.choose(np.arange(16) / 16, np.arange(8) / 8)
    assert overlapping.confidence([overlapping.value + 0.2])[0] < 0.75


def test_training_scores_are_called_so():
    found = thresholds.choose([0.1, 0.2], [0.8] * 4, held_out=False)
    assert "training scores" in found.how and "training pictures" in found.warnings[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"good": []}, "at least one good score"),
        ({"good": [np.nan]}, "all finite"),
        ({"false_alarm_rate": 0.1, "miss_rate": 0.1, "defective": [1]}, "Received: both"),
        ({"false_alarm_rate": 1.5}, "Received: 1.5"),
        ({"miss_rate": 0.1}, "Received: none"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        thresholds.choose(**{"good": [0.1], **options})
