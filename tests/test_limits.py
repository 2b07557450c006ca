import keras
import pytest

from experiments.benchmarks import limits

LIMITS = {"float32_flops": 100.0, "bfloat16_flops": 200.0, "bytes_per_second": 40.0}


def test_counts_by_hand():
    layers = [
        keras.layers.Conv2D(4, 3, use_bias=False),  # 6 x 6 places, 3 x 3 x 2 numbers, 4 filters
        keras.layers.ReLU(),
        keras.layers.DepthwiseConv2D(3),  # 4 x 4 places, 3 x 3 numbers, 4 channels, 4 biases
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ]
    keras.Sequential([keras.Input((8, 8, 2)), *layers])
    assert limits.cost_of(layers) == [(36 * 72, 72), (16 * 36, 40), (64 * 5, 325)]


def test_the_slower_of_arithmetic_and_memory_counts():
    # 10 multiply-adds per image and 4 weights: 0.2 s of arithmetic, 0.4 s of reading.
    assert limits.forward_seconds([(10, 4)], 1, LIMITS) == pytest.approx(0.4)
    assert limits.forward_seconds([(10, 4)], 10, LIMITS) == pytest.approx(2.0)
    assert limits.forward_seconds([(10, 4)], 1, LIMITS, "bfloat16") == pytest.approx(0.2)
    # Forward, to the features but of the first layer, to the weights: 10 + 30 + 20 + 30; Adam: 7 numbers per weight.
    seconds = limits.training_seconds([(10, 4), (20, 6)], 2, LIMITS)
    assert seconds == pytest.approx(2 * 2 * (3 * 30 - 10) / 100 + 28 * 10 / 40)
