import ast
from pathlib import Path

from experiments.benchmarks import patchcore, peers_page


def test_a_line_by_hand():
    drawn = {"fields": {"label": [0, 0, 1, 1], "group": [0, 1, 2, 3]}}
    result = {
        "scores": [0.1, 0.6, 0.5, 0.9],
        "threshold": 0.55,
        "fit_seconds": 2,
        "milliseconds": 40,
        "rate": 25,
        "megabytes": 500,
        "fit_megabytes": 1500,
    }
    line = peers_page.line("tiles", "fsad default", [(drawn, result)])
    # Of four pairs of a good and a defective image one is in the wrong order; one of two is found, with a false alarm.
    assert line["AUROC"] == "0.750" and line["F1"] == "0.500" and line["memory, fit"] == "1.50 GB"
    assert line["one image"] == "40 ms" and line["fit"] == "2.0 s" and line["start to first score"] == "–"
    less = peers_page.ratios({"tiles": {
        "patchcore": [(drawn, {**result, "fit_seconds": 20, "start_seconds": 9})],
        "fsad same": [(drawn, {**result, "start_seconds": 3})],
    }})  # fmt: skip
    assert less == {"fit_seconds": 10, "milliseconds": 1, "fit_megabytes": 1, "start_seconds": 3}


def test_the_peer_s_side_needs_nothing_of_ours():
    """It runs in an environment of its own."""
    tree = ast.walk(ast.parse(Path(patchcore.__file__).read_text()))
    names = {a.name for node in tree if isinstance(node, ast.Import) for a in node.names}
    assert names <= {
        "contextlib",
        "json",
        "os",
        "resource",
        "subprocess",
        "sys",
        "tempfile",
        "time",
        "cv2",
        "numpy",
        "torch",
    }
