import pytest

from experiments.benchmarks import ray as benchmark


def test_many_cores_are_arithmetic_and_say_what_breaks_first():
    """50 ms and 100 kB an image: 20 images and 16 Mbit a second and core."""
    rows, limits = benchmark.on_paper(0.05, 100_000, 0.01, price=0.036, gigabits=1.6, shard_size=1000)
    assert [row["images per second"] for row in rows] == ["200", "2,000", "20,000"]
    assert {row["euros per million"] for row in rows} == {"0.50"}  # 50,000 seconds
    assert rows[1]["read, Gbit/s"] == "1.60" and rows[1]["shards per second"] == "2.00"
    assert rows[0]["hours per million"] == "1.39" and rows[0]["images for a tail below 10%"] == "100,000"
    # 100 cores fill the storage; 1000 shards make a tail of a tenth on 100; the driver hands out 100 shards a second.
    assert [cores for cores, _ in limits] == pytest.approx([100, 100, 5000]) and "driver" in limits[2][1]


def test_speed_is_from_the_first_shard_to_the_last(tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'fsad[scale]'")
    import os

    from fsad.scale import shards

    for k in (2, 1, 0):
        row = {"path": "a", "verdict": "good", "confidence": 0.9, "error": None}
        rows = [{"row": 5 * k + n, "score": float(5 * k + n), **row} for n in range(5)]
        shards.write(tmp_path / f"shard-{k:06d}.parquet", rows, "parquet")
        os.utime(tmp_path / f"shard-{k:06d}.parquet", (100, 100 + 2 * k))
    assert benchmark.running(tmp_path) == 10 / 4
    found = benchmark.exact(tmp_path)
    assert found == {"rows": 15, "distinct": 15, "scores": list(map(float, range(15)))}
    assert benchmark.difference({"scores": [1.0, 2.5]}, {"scores": [1.0, 2.0, 9.0]}) == 0.5
