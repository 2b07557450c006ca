import keras
import numpy as np
import pytest
import tensorflow as tf

from fsad import layers, recipes, scoring, siamese


def test_compare_is_the_two_picture_model_on_every_pair(tiny_recipe, rng):
    model = tiny_recipe().model
    pictures, references = rng.integers(0, 256, (2, 5, 16, 16, 3)).astype(np.float32)
    e, r = scoring.embed(model, pictures, batch_size=2), scoring.embed(model, references[:3])
    assert e.shape == (5, 6)
    for block in (4096, 4):  # blocks change memory, not results
        found = scoring.compare(model, e, r, block=block)
        expected = [[float(model([r_[None], p[None]])[0, 0]) for r_ in references[:3]] for p in pictures]
        assert np.allclose(found, expected, atol=1e-6)


def test_reductions_by_hand():
    d = np.array([[0.3, 0.1, 0.8], [0.5, 0.5, 0.5]])
    assert scoring.reduce(d, "mean") == pytest.approx([0.4, 0.5])
    assert scoring.reduce(d, "min").tolist() == [0.1, 0.5]
    assert scoring.reduce(d, "first").tolist() == [0.3, 0.5]
    with pytest.raises(ValueError, match="reduction"):
        scoring.reduce(d, "median")


@pytest.mark.parametrize("distance", ["l1", "euclidean"])
def test_scores_without_the_whole_matrix(tiny_recipe, rng, distance):
    model = tiny_recipe(distance=distance).model
    e, r = scoring.embed(model, rng.integers(0, 256, (7, 16, 16, 3))), rng.normal(size=(5, 6)).astype(np.float32)
    whole = scoring.compare(model, e, r)
    for how in scoring.REDUCTIONS:
        for block in (4096, 8):  # in one block; in many, compiled
            assert np.allclose(scoring.score(model, e, r, how, block), scoring.reduce(whole, how), atol=1e-6)
    with pytest.raises(ValueError, match="reduction"):
        scoring.score(model, e, r, "median")


def test_many_reference_patches_are_taken_in_groups(monkeypatch, rng):
    """What bounds the memory changes no number."""
    layer = layers.NearestPatch(share=0.3)
    r, p = (keras.ops.normalize(rng.normal(size=(n, 2, 3, 4)).astype(np.float32)) for n in (5, 2))
    whole = layer.against(r, p)
    monkeypatch.setattr(layers, "PATCHES", 12)  # two references at a time
    for one, other in zip(whole, layer.against(r, p), strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_leaves_out_the_pictures_of_the_same_part(tiny_recipe, rng):
    model = tiny_recipe().model
    e = scoring.embed(model, rng.integers(0, 256, (4, 16, 16, 3), np.uint8))
    scores, maps = scoring.leave_out(model, e, [0, 0, 1, 2], e, [0, 0, 1, 2])
    d = scoring.compare(model, e, e)
    expected = [d[0, 2:].mean(), d[1, 2:].mean(), d[2, [0, 1, 3]].mean(), d[3, :3].mean()]
    assert np.allclose(scores, expected, atol=1e-6) and maps is None
    scores, _ = scoring.leave_out(model, e[:2], [0, 0], e[:2], [0, 0])
    assert np.isnan(scores).all()  # nothing left to compare with


def test_patches_pool_their_references():
    """Each patch chooses its own reference, so the pooled score is at most that of the nearest reference."""
    recipe = recipes.patches("filter_bank", side=64, share=0.5)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    e = scoring.embed(recipe.model, pictures)
    assert e.shape == (3, 4, 4, 79) and np.allclose(np.linalg.norm(e, axis=-1), 1, atol=1e-5)
    found = siamese.against(recipe.model, tf.constant(e[:1]), tf.constant(e[1:]))
    d = 1 - np.einsum("ijc,rklc->ijrkl", e[0], e[1:]).max((3, 4))  # patch to nearest patch of each reference
    assert np.allclose(found["map"][0], d.min(2), atol=1e-5)
    assert np.allclose(found["score"], np.sort(d.min(2).ravel())[-8:].mean(), atol=1e-5)
    each = [np.sort(d[..., r].ravel())[-8:].mean() for r in (0, 1)]
    assert np.allclose(found["dissimilarity"][0], each, atol=1e-5)
    assert np.allclose(scoring.compare(recipe.model, e[:1], e[1:])[0], each, atol=1e-5)
    pairs = [recipe.model([pictures[1:].astype(np.float32), pictures[[0, 0]].astype(np.float32)])]
    assert np.allclose(pairs[0][:, 0], each, atol=1e-5)  # the two-picture model says the same


def test_references_in_their_views(rng):
    """A good picture upside down is nearer to references in their mirrors than to them as they are."""
    recipe = recipes.patches("filter_bank", side=64, window=2, mirrored=True)
    pictures = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    e = scoring.embed(recipe.model, pictures)
    r = scoring.references(recipe, pictures, e)
    assert r.shape == (8, 2, 2, 79) and e.shape == (2, 3, 3, 79)  # every second patch of each view
    assert np.array_equal(r[4], e[1, ::2, ::2]) and np.array_equal(r, scoring.references(recipe, pictures))
    mirrored = scoring.embed(recipe.model, pictures[1:, ::-1])
    found = siamese.against(recipe.model, tf.constant(mirrored), tf.constant(r))
    plain = siamese.against(recipe.model, tf.constant(mirrored), tf.constant(r[4:5]))  # as it is, without its mirrors
    assert np.argmin(found["dissimilarity"]) // len(recipe.views) == 1 and found["score"][0] < plain["score"][0]
    assert found["map"].shape == (1, 4, 4)
