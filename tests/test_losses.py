import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad.layers import EuclideanDistance
from fsad.losses import ContrastiveLoss, PairBalancedContrastiveLoss

# Three pairs with D = 0.6, margin 1: a pair of one class costs 0.36 / 2 = 0.18, another 0.4^2 / 2 = 0.08.
D = np.full((3, 1), 0.6, np.float32)
NORMAL, ABNORMAL, MIXED = [0, 1], [0, 0], [1, 1]  # different, and whether one image is normal


def each(loss, labels, distances=D):
    loss.reduction = None
    return np.asarray(loss(np.array(labels, np.float32), distances))[:, 0]


def test_contrastive_loss_by_hand():
    assert each(ContrastiveLoss(), [[0], [1], [1]], np.array([[0.6], [0.6], [1.3]], np.float32)) == pytest.approx(
        [0.18, 0.08, 0]  # zero beyond the margin
    )
    assert each(ContrastiveLoss(margin=2), [[1]], D[:1]) == pytest.approx([1.4**2 / 2])


def test_pair_balanced_loss_by_hand_for_each_type_of_pair():
    losses = each(PairBalancedContrastiveLoss(alpha=4, beta=2), [NORMAL, ABNORMAL, MIXED])
    assert losses == pytest.approx([0.18, 4 * 0.18, 2 * 0.08])


def test_pair_balanced_loss_with_weights_of_one_is_the_contrastive_loss():
    labels = [NORMAL, ABNORMAL, MIXED]
    plain = each(ContrastiveLoss(), [[d] for d, _ in labels])
    assert each(PairBalancedContrastiveLoss(alpha=1, beta=1), labels) == pytest.approx(plain)


@pytest.mark.parametrize(
    "loss", [ContrastiveLoss(dtype="float64"), PairBalancedContrastiveLoss(alpha=4, beta=2, dtype="float64")]
)
def test_gradient_matches_finite_differences_and_is_finite_at_distance_zero(loss, rng):
    first, second = rng.normal(size=(2, 3, 4))
    first[0] = second[0]  # distance 0, where the root has no slope
    labels = np.array([[0], [1], [1]] if type(loss) is ContrastiveLoss else [NORMAL, ABNORMAL, MIXED], float)
    distance = EuclideanDistance(dtype="float64")

    def value(x):
        return loss(tf.constant(labels), distance([x, tf.constant(second)]))

    x = tf.Variable(first)
    with tf.GradientTape() as tape:
        total = value(x)
    gradient = tape.gradient(total, x).numpy()
    assert np.isfinite(gradient).all()
    step = 1e-6
    for k, j in np.ndindex(3, 4):
        up, down = first.copy(), first.copy()
        up[k, j] += step
        down[k, j] -= step
        numeric = (float(value(tf.constant(up))) - float(value(tf.constant(down)))) / (2 * step)
        assert gradient[k, j] == pytest.approx(numeric, abs=1e-6)


def test_rejects_shapes_that_would_broadcast_and_invalid_settings():
    with pytest.raises(ValueError, match=r"labels of shape \(P, 1\).*Received: \(3,\) and \(3, 1\)"):
        ContrastiveLoss()(np.zeros(3), D)
    with pytest.raises(ValueError, match=r"labels of shape \(P, 2\)"):
        PairBalancedContrastiveLoss()(np.zeros((3, 1)), D)
    with pytest.raises(ValueError, match="margin above 0"):
        ContrastiveLoss(margin=0)
    with pytest.raises(ValueError, match="alpha and beta"):
        PairBalancedContrastiveLoss(alpha=-1)


def test_round_trip_through_the_configuration():
    loss = keras.losses.deserialize(keras.losses.serialize(PairBalancedContrastiveLoss(0.5, 3, 2)))
    assert (loss.margin, loss.alpha, loss.beta) == (0.5, 3, 2)
