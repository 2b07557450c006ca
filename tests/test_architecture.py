import re

from experiments import architecture


def test_imports_point_down_and_the_picture_is_of_today():
    rows = architecture.layers()
    depth = {name: y for y, row in enumerate(rows) for name in row}
    arrows = architecture.imports(rows)
    assert ("fsad.detector", "fsad.fitting") in arrows and all(depth[a] < depth[b] for a, b in arrows)
    drawn = set(re.findall(r">(\w+)</text>", architecture.TARGET.read_text()))
    assert {name.removeprefix("fsad.") for name in depth} <= drawn, "run make docs"


def test_an_arrow_that_others_imply_is_left_out():
    arrows = [("a", "b"), ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d"), ("a", "e")]
    assert architecture.reduced(arrows) == [("a", "b"), ("b", "c"), ("c", "d"), ("a", "e")]
