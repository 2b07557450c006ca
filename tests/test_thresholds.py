import numpy as np
import pytest

from fsad import thresholds


def test_separates_by_hand():
    # Separable: the middle of the gap.
    assert thresholds.separate([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
    # One good image scores high: a threshold just above 0.2 misclassifies it alone.
    assert thresholds.separate([0, 0, 0, 1, 1], [0.1, 0.2, 0.7, 0.6, 0.9]) == pytest.approx(0.4)
    # Of two thresholds with one error each, the one in the wider gap.
    assert thresholds.separate([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.9]) == pytest.approx(0.6)
    assert thresholds.separate([0, 1], [0.5, 0.5]) == 0.5
    with pytest.raises(ValueError, match="Received: 0 defective of 2"):
        thresholds.separate([0, 0], [0.1, 0.2])


def test_without_defective_images_good_scores_set_the_threshold_with_a_warning():
    good = np.arange(1, 17) / 100  # 16 support 1 in 17: the largest of them
    threshold = thresholds.choose(good)
    assert threshold.value == pytest.approx(0.16)
    assert "0.0588" in threshold.how and "No defective images given" in threshold.warnings[0]
    assert not any("support" in text for text in threshold.warnings)


def test_good_and_defective_are_equally_likely_half_way_between_mirrored_scores():
    good = np.array([0.0, 0.1, 0.2, 0.5])
    assert thresholds.as_likely(good, 1 - good) == pytest.approx(0.5, abs=1e-4)
    # Both classes weigh alike, however many images there are of each.
    assert thresholds.as_likely(np.tile(good, 3), 1 - good) == pytest.approx(0.5, abs=0.01)
    # No one score decides, as it does for the best cut; a curve that falls is not used.
    assert thresholds.as_likely(good, [0.45, 0.8, 0.9, 1.0]) == pytest.approx(0.488, abs=0.001)
    assert thresholds.as_likely(good, [0.0, 0.0]) is None


def test_one_defective_image_lowers_the_threshold_but_does_not_raise_it():
    good = np.arange(1, 17) / 100
    alone, far, near = (thresholds.choose(good, defective) for defective in ((), (0.36,), (0.2,)))
    assert alone.value == far.value == pytest.approx(0.16) and "false alarm rate" in far.how
    assert 0.1225 < near.value < 0.16 and "16 good and 1 defective image" in near.how


def test_faint_defective_images_do_not_make_good_ones_alarm():
    good = np.arange(1, 17) / 100
    for faint in ((0.03,), (0.05, 0.06)):  # lower than most good ones: no threshold finds them
        assert thresholds.choose(good, faint).value == pytest.approx(0.16)
    within = thresholds.choose(good, (0.1,))  # a little above their mean: a quarter of the good ones may alarm
    assert within.value == pytest.approx(np.quantile(good, 0.75)) and (good > within.value).sum() == 4
    assert within.how.startswith("a quarter of the held-out scores of 16 good images")
    assert thresholds.choose(good, np.zeros(5)).value == pytest.approx(0.16)


def test_eight_defective_images_set_the_threshold():
    threshold = thresholds.choose(np.arange(16) / 100, 0.3 + np.arange(8) / 100)
    assert 0.18 < threshold.value < 0.27 and threshold.warnings == ()


def test_targets_are_conformal_quantiles():
    good, defective = np.arange(1, 100) / 100, 2 + np.arange(19) / 100
    # 99 good scores, one in a hundred: ceil(100 * 0.99) = the 99th; one in ten: the 90th.
    assert thresholds.choose(good, defective, false_alarm_rate=0.01).value == pytest.approx(0.99)
    assert thresholds.choose(good, defective, false_alarm_rate=0.1).value == pytest.approx(0.90)
    # 19 defective scores, one in ten: floor(20 * 0.1) = just below the 2nd smallest, so one is missed.
    threshold = thresholds.choose(good, defective, miss_rate=0.1)
    assert (defective <= threshold.value).sum() == 1 and threshold.value == pytest.approx(2.01)


def test_warns_if_too_few_images_support_a_target():
    threshold = thresholds.choose(np.arange(16) / 100, false_alarm_rate=0.01)
    assert threshold.value == pytest.approx(0.15)
    assert any("16 good images support" in text and "needs 99" in text for text in threshold.warnings)
    assert "0.0588, the lowest that 16 good images support" in threshold.how
    threshold = thresholds.choose(np.arange(16) / 100, [0.5, 0.6], miss_rate=0.1)
    assert threshold.value < 0.5 and any("2 defective images support" in text for text in threshold.warnings)


def test_asks_whether_good_and_defective_are_swapped():
    swapped = thresholds.choose([5, 6, 7, 8], [1, 2, 3, 4])
    assert any("swapped?" in text for text in swapped.warnings)
    assert not any("swapped?" in text for text in thresholds.choose([1, 2, 3, 4], [5, 6, 7, 0]).warnings)


def test_false_alarm_rate_holds_on_new_images(rng):
    alarms = [(rng.normal() > thresholds.choose(rng.normal(size=19), false_alarm_rate=0.1).value) for _ in range(1500)]
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.025)  # exactly 2 / 20 in expectation


def test_confidence_is_one_half_at_the_threshold_and_never_one():
    threshold = thresholds.choose(np.arange(16) / 100, 0.3 + np.arange(8) / 100)
    confidence = threshold.confidence([threshold.value, 0.0, 0.37])
    assert confidence[0] == 0.5 and 0.8 < confidence[1] < 1 and 0.8 < confidence[2] < 1
    assert threshold.confidence([0.9], threshold=0.9) == 0.5
    # Overlapping classes lower the confidence.
    overlapping = thresholds.choose(np.arange(16) / 16, np.arange(8) / 8)
    assert overlapping.confidence([overlapping.value + 0.2])[0] < 0.75


def test_a_band_of_unsure_scores():
    good, defective = np.arange(1, 20) / 100, 0.15 + np.arange(1, 20) / 100
    # Of 19 scores a rate of 0.1 leaves one: the 18th good score, and just below the second defective one.
    threshold = thresholds.band(thresholds.choose(good, defective), 0.1)
    low, high = threshold.unsure
    assert low == pytest.approx(0.17) and high == pytest.approx(0.18) and low <= threshold.value <= high
    verdicts = [threshold.verdict(score) for score in (0.1, low, 0.175, high, 0.2)]
    assert verdicts == ["good", "good", "unsure", "unsure", "defective"]
    assert threshold.verdict(0.175, threshold=0.1) == "defective" and "unsure by a rate of 0.1" in threshold.how
    # What lies between well separated scores, neither kind has shown.
    band = thresholds.band(thresholds.choose(good, 1 + good), 0.1)
    assert band.unsure == pytest.approx((0.18, 1.02)) and band.verdict(0.6) == "unsure"
    with pytest.raises(ValueError, match=r"defective images to set a band"):
        thresholds.band(thresholds.choose(good), 0.1)


def test_training_scores_are_named_and_warned_of():
    threshold = thresholds.choose([0.1, 0.2], [0.8] * 4, held_out=False)
    assert "training scores" in threshold.how and "training images" in threshold.warnings[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"good": []}, "at least one good score"),
        ({"good": [np.nan]}, "all finite"),
        ({"false_alarm_rate": 0.1, "miss_rate": 0.1, "defective": [1]}, "Received: more"),
        ({"value": 1.0, "false_alarm_rate": 0.1}, "Received: more"),
        ({"value": float("nan")}, "Expected a finite threshold"),
        ({"false_alarm_rate": 1.5}, "Received: 1.5"),
        ({"miss_rate": 0.1}, "Received: none"),
    ],
)
def test_rejects(options, message):
    with pytest.raises(ValueError, match=message):
        thresholds.choose(**{"good": [0.1], **options})
