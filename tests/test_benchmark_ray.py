import pytest

from experiments.benchmarks import ray as benchmark
from experiments.benchmarks import ray_page


def test_many_cores_are_arithmetic_and_say_what_breaks_first():
    """50 ms and 100 kB an image: 20 images and 16 Mbit a second and core."""
    rows, limits = ray_page.on_paper(0.05, 100_000, 100, price=0.036, gigabits=1.6, shard_size=1000)
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
    rows = benchmark.exact(tmp_path)
    assert rows == {"rows": 15, "distinct": 15, "scores": list(map(float, range(15)))}
    assert ray_page.difference({"scores": [1.0, 2.5]}, {"scores": [1.0, 2.0, 9.0]}) == 0.5


@pytest.mark.slow
def test_a_lost_node_costs_no_row(saved, parts, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install 'fsad[scale]'")
    from experiments.benchmarks import race

    paths = [str(path) for path in sorted(parts.glob("t*/*/*.png"))]
    paths = (paths * 4)[:80]
    rows = race.alone(benchmark.lost_node, str(saved), paths, tmp_path / "out", 5)
    assert rows["lost"] and rows["rows"] == rows["distinct"] == 80


def test_the_page_says_what_is_measured_and_what_is_not():
    own = {"start": 1, "seconds": 3, "running": 5.0, "processor": 0.1, "driver": 90, "actor": 300, "rows": 8,
           "distinct": 8, "scores": [0.0] * 8}  # fmt: skip
    one = {"seconds": 2, "processor": 0.05, "driver": 200, "scores": [0.0] * 8}
    facts = {"command": "c", "images": 8, "shard_size": 2, "paper_shard_size": 1000, "bytes": 1e5, "weights": "none",
             "side": "9 x 9", "price": 0.036, "gigabits": 1.0, "load": 1.0, "one": one, "actors": {1: own, 2: own},
             "handed out": 20.0, "lost images": 8, "lost": {**own, "lost": True}}  # fmt: skip
    text = ray_page.page(facts)
    assert "| Ray, 2 actors of 1 core | 5.0 | 2.0 | 100.0 | 90 | 300 | 8, 8 | 0 |" in text
    assert "Not measured: arithmetic from the 100.0 ms" in text and "| 10 | 100 | 2.78 | 1.00 |" in text
    assert "One is killed after the first shard" in text
    facts["lost"]["lost"] = False
    assert "NOT killed" in ray_page.page(facts)
