import numpy as np
import pytest

from fsad.explain import controls, faithfulness, methods, saliency
from fsad.explain.comparer import Comparer

MASK = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], bool)
MAP = np.array([[4.0, 1, 2, 0], [0, 1, -3, 0]])


def test_measures_against_a_mask_by_hand():
    # Defect pixels 4 and 1; of the six others 2, 0, 0, 1, -3, 0 the first exceeds six, the second four and half of one.
    assert faithfulness.pixel_auroc(MAP, MASK) == pytest.approx((6 + 4.5) / 12)
    assert faithfulness.pointing_game(MAP, MASK) == 1
    assert faithfulness.pointing_game(-MAP, MASK) == 0  # the highest is 3, outside
    assert faithfulness.relevance_mass(MAP, MASK) == pytest.approx(5 / 8)  # -3 counts as 0
    assert faithfulness.relevance_rank(MAP, MASK) == 1 / 2  # 4 is in the mask, 2 is not


def test_a_flat_map_has_what_chance_has():
    flat = np.ones((2, 4))
    assert faithfulness.pixel_auroc(flat, MASK) == 0.5
    for measure in (faithfulness.pointing_game, faithfulness.relevance_mass, faithfulness.relevance_rank):
        assert measure(flat, MASK) == pytest.approx(0.25)
    assert faithfulness.relevance_mass(-flat, MASK) == 0


def test_a_map_is_resized_to_the_mask():
    mask = np.zeros((40, 40), bool)
    mask[:20, :20] = True
    assert faithfulness.pixel_auroc(np.array([[1.0, 0], [0, 0]]), mask) > 0.9
    with pytest.raises(ValueError, match="neither empty nor full"):
        faithfulness.pixel_auroc(MAP, np.ones((2, 4), bool))


def test_agrees_with_quantus(rng):
    quantus = pytest.importorskip("quantus", reason="needs the extra quantus")
    ours = {
        "PointingGame": faithfulness.pointing_game,
        "RelevanceMassAccuracy": faithfulness.relevance_mass,
        "RelevanceRankAccuracy": faithfulness.relevance_rank,
    }
    for _ in range(5):
        one, mask = rng.random((12, 12)).astype(np.float32), np.zeros((12, 12), bool)
        top, left = rng.integers(0, 8, 2)
        mask[top : top + 4, left : left + 3] = True
        for name, measure in ours.items():
            peer = getattr(quantus, name)(disable_warnings=True)
            value = peer.evaluate_batch(a_batch=one[None], s_batch=mask[None])[0]
            assert measure(one, mask) == pytest.approx(float(value), abs=1e-6), name


def test_deletion_and_insertion_by_hand(adding):
    """Two of four pixels add 30 each to the score; the fill, the reference, adds nothing."""
    comparer = adding(2)
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, 0] = 10
    references = comparer.references(np.zeros((1, 2, 2, 3), np.uint8))

    def measured(one):
        return faithfulness.deletion_and_insertion(comparer, images, references, [one], "reference", steps=4)

    right, wrong = measured(np.array([[2, 1], [0, 0]])), measured(np.array([[0, 0], [2, 1]]))
    # Right: 60, 30, 0, 0, 0 as pixels go, 0, 30, 60, 60, 60 as they come, a quarter of the pixels each.
    np.testing.assert_allclose([right.deletion[0], right.insertion[0]], [15, 45], rtol=1e-4)
    np.testing.assert_allclose([wrong.deletion[0], wrong.insertion[0]], [45, 15], rtol=1e-4)
    assert right.gain[0] == pytest.approx(30, rel=1e-4)


def test_a_map_of_the_network_fails_once_that_is_shuffled_and_a_map_of_edges_does_not(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe().model)
    images = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
    references = comparer.references(rng.integers(0, 256, (2, 16, 16, 3), np.uint8))
    before = comparer.model.get_weights()
    correlations = {
        name: faithfulness.cascading_randomisation(
            comparer, images, references, explain(comparer, images, references), explain, np.random.default_rng(0), 2
        )
        for name, explain in (("saliency", saliency.maps), ("edges", controls.edge_maps))
    }
    assert correlations["saliency"].shape == (2, 3) and (correlations["edges"] == pytest.approx(1))
    assert correlations["saliency"][-1].mean() < 0.6
    assert all((a == b).all() for a, b in zip(before, comparer.model.get_weights(), strict=True))  # restored


def test_other_references_change_a_map_that_looks_at_them(adding):
    """By occlusion a pixel counts as far as it differs from the reference, so the order turns with the reference."""
    comparer = adding(2)
    images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1).repeat(3, 3) * 10 + 100
    low, high = (comparer.references(value + 0 * images) for value in (np.uint8(0), np.uint8(200)))

    def explain(*arguments):
        return methods.explain(*arguments, method="occlusion", window=0.5)

    maps = explain(comparer, images, low)
    assert faithfulness.reference_randomisation(comparer, images, low, maps, explain) == pytest.approx([1])
    assert faithfulness.reference_randomisation(comparer, images, high, maps, explain)[0] < -0.9


def test_stability_follows_the_image(tiny_recipe, rng):
    comparer = Comparer(tiny_recipe(side=32).model)
    images = rng.integers(50, 200, (2, 32, 32, 3), np.uint8)
    shifted, brighter = faithfulness.stability(comparer, images, None, images.mean(-1), lambda c, i, r: i.mean(-1), 3)
    assert shifted == pytest.approx([1, 1]) and (brighter > 0.999).all()
    noise, _ = faithfulness.stability(comparer, images, None, images.mean(-1), lambda c, i, r: rng.random(i.shape[:3]))
    assert np.abs(noise).max() < 0.3


def test_completeness_and_rank_correlation_by_hand():
    attributions = np.array([[[1.0, 2], [3, -1]], [[0, 0], [0, 4]]])
    np.testing.assert_allclose(faithfulness.completeness(attributions, [5, 8]), [0, 0.5])
    rising, flat = np.arange(1024.0).reshape(32, 32), np.ones((32, 32))
    np.testing.assert_allclose(faithfulness.rank_correlation([rising] * 3, [rising**3, -rising, flat]), [1, -1, 0])
