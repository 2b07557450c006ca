import importlib.metadata

import pytest

from experiments.benchmarks import start


def test_disk_counts_each_package_once_and_what_it_requires():
    alone = start.disk(["numpy"])
    files = importlib.metadata.distribution("numpy").files
    assert alone == pytest.approx(sum(file.locate().stat().st_size for file in files) / 1e6)
    assert start.disk(["numpy", "numpy>=2"]) == alone  # which requires nothing
    both = start.disk(["pandas"])
    assert both > alone and start.disk(["pandas", "numpy"]) == both
    assert start.disk(["numpy ; python_version < '3'"]) == 0
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        start.disk(["no-such-package"])
