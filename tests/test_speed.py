import json
import pkgutil

from experiments.benchmarks import contenders, scale, speed_pages


def test_every_implementation_that_is_declared_exists():
    for section in contenders.SECTIONS.values():
        for target, _ in section.contenders.values():
            assert callable(pkgutil.resolve_name(f"experiments.benchmarks.{target}"))


def test_page_shows_the_ratios_and_says_what_moved():
    committed = json.loads(speed_pages.RESULTS.read_text())
    assert speed_pages.page(committed) == speed_pages.RESULTS.with_suffix(".md").read_text()
    assert speed_pages.moved(committed, committed) == (["No ratio moved by more than 25%."], False)
    slower = json.loads(json.dumps(committed))
    row = slower["sections"]["score"]["fsad, tensorflow"]
    row["times"] /= 2
    lines, fell = speed_pages.moved(slower, committed)
    assert fell and len(lines) == 1 and "fsad, tensorflow" in lines[0]
    assert speed_pages.moved(committed, slower)[1] is False  # faster than before is no fault


def test_scale_page():
    committed = json.loads(scale.RESULTS.read_text())
    assert scale.page(committed) == scale.RESULTS.with_suffix(".md").read_text()


def test_scale_point_knows_what_it_was_given():
    _, megabytes = scale._embedded("euclidean", 100, 100)
    assert megabytes == 200 * 512 * 4 / 1e6
