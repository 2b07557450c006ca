import dataclasses

import numpy as np
import pytest

from experiments.explanations import run, sentences, table
from experiments.explanations.table import TABLE
from experiments.runner import Run
from fsad.explain.comparer import Comparer

ROWS = {row.key: row for row in TABLE.rows}


def measured(pixel_auroc, shuffled=0.1, **others):
    """Two images by one method: all measures are 0.4 but those given."""
    values = {name: [0.4, 0.4] for name in (*table.MEASURES, "completeness")}
    values |= {"aupro": 0.4, "seconds": 0.01, "shuffled": [shuffled] * 2, "mean_map": [0.6, 0.6]}
    return {**values, "pixel_auroc": pixel_auroc, **{name: [value] * 2 for name, value in others.items()}}


def finished(key, by_method):
    """A finished run of two good and two defective images."""
    controls = {"random": measured([0.5, 0.5]), "edges": measured([0.55, 0.65], shuffled=1.0)}
    test = {"label": [0, 0, 1, 1], "kind": ["good", "good", "cut", "cut"], "group": [0, 1, 2, 3]}
    record = {"test": test, "scores": [0, 1, 2, 3], "auroc": 1.0, "explained": [2, 3], "area": [0.1, 0.3]}
    record |= {"size": [8, 8], "weights_loaded": "imagenet", "measured": by_method | controls}
    arrays = {"images": np.zeros((2, 8, 8, 3), np.uint8), "masks": np.eye(8)[None].repeat(2, 0) > 0}
    arrays |= {f"maps {name}": np.ones((2, 8, 8), np.float32) for name in record["measured"]}

    @dataclasses.dataclass(frozen=True)
    class Finished(Run):
        def load(self):
            return record, arrays

    return Finished(ROWS[key], {"data": "synthetic-metal", "seed": 0}, None)


def test_the_best_map_and_what_it_has_to_beat_by_hand():
    methods = {"gradcam": measured([0.7, 0.9]), "sinex": measured([0.5, 0.7], shuffled=0.8)}
    results, sections, figures = table.report([finished("metal_l", methods)])
    cells = results["metal_l"].cells
    assert cells["best"]["mean"] == pytest.approx(0.8) and cells["best"]["interval"] == pytest.approx([0.7, 0.9])
    assert cells["mean_map"]["mean"] == 0.6 and cells["edges"]["mean"] == pytest.approx(0.6)
    assert cells["area"]["mean"] == pytest.approx(0.2) and cells["auroc"]["mean"] == 1
    assert "The best map: gradcam." in results["metal_l"].notes
    assert "| gradcam | 0.80 (0.70 to 0.90) | 0.60 |" in sections and "## paper L" in sections
    assert "gradcam finds defects at a pixel AUROC of 0.80, the best of its maps" in sections
    assert list(figures) == ["metal"]


def test_what_fails_is_said():
    methods = {
        "saliency": measured([0.9, 0.9], gain_blur=2, gain_reference=1),
        "sinex": measured([0.5, 0.7], shuffled=0.8, other_references=0.95),
        "integrated_gradients": measured([0.6, 0.6], shifted=0.2, completeness=0.07),
    }
    text = "\n".join(sentences.sentences([(one, *one.load()) for one in [finished("metal_s", methods)]]))
    assert "what was learned): paper S: sinex 0.80." in text and "replaced): paper S: sinex 0.95." in text
    assert "saliency (0.40), integrated_gradients (0.20), sinex (0.40) stays less alike than 0.5" in text
    assert "saliency orders the pixels best, insertion less deletion +1.50" in text
    assert "miss the change that they explain by 7%" in text
    assert "finds defects at a pixel AUROC of 0.90" in text and "its interval lies above edges" in text


def test_every_measure_of_a_method(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe().model)
    images = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
    references, others = (comparer.references(rng.integers(0, 256, (2, 16, 16, 3), np.uint8)) for _ in range(2))
    masks = np.zeros((3, 16, 16), bool)
    masks[:, :4, :4] = True
    for name in ("integrated_gradients", "edges"):
        measures, maps = run.measure(name, comparer, images, masks, references, others, 0.1, 0)
        assert maps.shape == (3, 64, 64) and set(table.MEASURES) <= set(measures)
        assert (
            len(measures["pixel_auroc"]) == 3 and len(measures["gain_blur"]) == len(measures["shuffled"]) == run.CHECKED
        )
        assert np.isfinite(np.concatenate([np.atleast_1d(values) for values in measures.values()])).all()
    assert measures["shuffled"] == measures["other_references"] == pytest.approx([1, 1])  # edges know neither


def test_every_kind_of_defect_has_its_turn():
    assert run.by_turns([3, 5, 6, 8, 9], ["cut", "cut", "cut", "hole", "hole"]) == [3, 8, 5, 9, 6]
