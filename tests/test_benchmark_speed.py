import importlib
import json

from experiments import benchmark_scale, benchmark_speed


def test_every_contender_that_is_declared_exists():
    for section in benchmark_speed.SECTIONS.values():
        for target, _ in section.contenders.values():
            module, name = target.split(":")
            assert callable(getattr(importlib.import_module(f"experiments.{module}"), name))


def test_page_shows_the_ratios_and_what_moved_is_told():
    committed = json.loads(benchmark_speed.RESULTS.read_text())
    text = benchmark_speed.page(committed)
    assert text == benchmark_speed.RESULTS.with_suffix(".md").read_text()
    assert benchmark_speed.moved(committed, committed) == (["No ratio moved by more than 25%."], False)
    slower = json.loads(json.dumps(committed))
    row = slower["sections"]["score"]["fsad, tensorflow"]
    row["times"] /= 2
    lines, fell = benchmark_speed.moved(slower, committed)
    assert fell and len(lines) == 1 and "fsad, tensorflow" in lines[0]
    assert benchmark_speed.moved(committed, slower)[1] is False  # faster than before is no fault


def test_scale_page_and_point():
    committed = json.loads(benchmark_scale.RESULTS.read_text())
    assert benchmark_scale.page(committed) == benchmark_scale.RESULTS.with_suffix(".md").read_text()
    seconds, megabytes, held = benchmark_scale.measure("references euclidean", 100)
    assert seconds > 0 and megabytes < 500 and held == 200 * 512 * 4 / 1e6
