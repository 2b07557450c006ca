import pytest

from experiments import benchmark_backbones


@pytest.mark.slow
def test_a_backbone_is_measured_in_the_network_of_the_paper():
    result = benchmark_backbones.measure("mobilenet", "float32", steps=1, repeats=2)
    assert list(result) == list(benchmark_backbones.COLUMNS)
    # MobileNet 0.75, 7 x 7 x 768 features and 4096 units; the frozen backbone counts 4 bytes per weight.
    frozen, trained = 1_832_976, (7 * 7 * 768 + 1) * 4096 + 4097
    assert result["parameters"] == frozen + trained
    assert abs(result["size_megabytes"] - (4 * frozen + 12 * trained) / 1e6) < 0.01
    assert result["latency_median_ms"] <= result["latency_p95_ms"]
