import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fsad import metrics


def test_auroc_by_hand_and_against_sklearn(rng):
    assert metrics.auroc([0, 0, 1, 1], [1, 2, 3, 4]) == 1
    assert metrics.auroc([0, 0, 1, 1], [4, 3, 2, 1]) == 0
    assert metrics.auroc([0, 1, 1], [1, 1, 2]) == 0.75  # of two comparisons, the tie counts one half
    labels, scores = rng.integers(0, 2, 200), rng.integers(0, 9, 200)
    assert metrics.auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_auroc_of_one_class_is_nan_and_bad_input_is_rejected():
    assert np.isnan(metrics.auroc([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="shape"):
        metrics.auroc([0, 1], [[1], [2]])
    with pytest.raises(ValueError, match="finite"):
        metrics.auroc([0, 1], [1, np.nan])
    with pytest.raises(ValueError, match="0 and 1"):
        metrics.auroc([1, 2], [1, 2])


# Counts of 73 + 73 test pairs that give Table I of Senarathna and Wijesinghe (2025), but for two figures: the
# paper prints 0.70 for ResNet50's F1 of 0.708, and 52.21% for InceptionV3's 52.52%. In the pre-trained rows it
# swaps precision and recall. Its positive class is "same": a true positive is a good image predicted as same.
TABLE_I = {
    "custom CNN": ((73, 5, 0, 68), ("93.59", "100.00", "0.97", "96.58")),
    "VGG19": ((72, 48, 1, 25), ("60.00", "98.63", "0.75", "66.44")),
    "ResNet50": ((69, 53, 4, 20), ("56.56", "94.52", "0.71", "60.96")),
    "InceptionV3": ((73, 66, 0, 7), ("52.52", "100.00", "0.69", "54.79")),
}


@pytest.mark.parametrize("row", TABLE_I)
def test_the_rates_of_table_1_follow_from_its_counts(row):
    (tp, fp, fn, tn), printed = TABLE_I[row]
    rates = metrics.rates({"tp": tp, "fp": fp, "fn": fn, "tn": tn})
    shown = [f"{100 * rates['precision']:.2f}", f"{100 * rates['recall']:.2f}", f"{rates['f1']:.2f}"]
    assert (*shown, f"{100 * rates['accuracy']:.2f}") == printed


def test_confusion_and_rates_by_hand():
    counts = metrics.confusion([1, 1, 1, 0, 0], [1, 1, 0, 1, 0])
    assert counts == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    rates = metrics.rates(counts)
    assert rates == {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "accuracy": 3 / 5}
    assert np.isnan(metrics.rates({"tp": 0, "fp": 0, "fn": 3, "tn": 1})["precision"])


def draw(rng, n=200, shift=1.0, per_group=1):
    labels = np.repeat([0, 1], n // 2)
    noise = np.repeat(rng.normal(size=n // per_group), per_group)
    return {"labels": labels, "scores": noise + shift * labels, "threshold": 0.5, "groups": np.arange(n) // per_group}


def area(labels, scores, threshold):
    return [metrics.auroc(labels, scores)]


def test_interval_covers_the_value_and_narrows_with_more_images(rng):
    small, large = draw(rng, 40), draw(rng, 4000)
    for one in (small, large):
        low, high = metrics.interval(area, [one], rng, resamples=300)[0]
        assert low < metrics.auroc(one["labels"], one["scores"]) < high
    width = [np.diff(metrics.interval(area, [one], rng, resamples=300))[0, 0] for one in (small, large)]
    assert width[1] < width[0] / 4


def test_photographs_of_one_part_count_as_one_cluster(rng):
    # Ten photographs of each of 20 parts carry as much information as 20 images, not 200.
    clustered = draw(rng, 200, per_group=10)
    independent = {**clustered, "groups": np.arange(200)}
    wide, narrow = (np.diff(metrics.interval(area, [d], rng, resamples=400))[0, 0] for d in (clustered, independent))
    assert wide > 2 * narrow


def test_interval_is_repeatable():
    one = draw(np.random.default_rng(1))
    first, second = (metrics.interval(area, [one], np.random.default_rng(0), resamples=50) for _ in range(2))
    assert (first == second).all()


def test_f1_max_by_hand():
    # At 0.5: 2 of 2 anomalies detected, 1 false alarm: precision 2/3, recall 1.
    assert metrics.f1_max([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9]) == pytest.approx(0.8)


def test_aupro_counts_every_region_the_same():
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = mask[5:9, 5:9] = True
    assert metrics.aupro([mask.astype(float)], [mask]) == pytest.approx(1, abs=0.01)
    large = mask.astype(float)
    large[0, 0] = -1  # the region of one pixel is missed entirely
    assert metrics.aupro([large], [mask]) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(metrics.aupro([np.zeros((2, 2))], [np.zeros((2, 2), bool)]))
    with pytest.raises(ValueError, match="mask for each map"):
        metrics.aupro([np.zeros((2, 2))], [np.zeros((2, 3), bool)])
