import cv2
import numpy as np
import pytest

from fsad import duplicates, synthetic


def relit(picture, rng):
    """The same part under another lamp, moved by a few pixels."""
    yy, xx = np.mgrid[:256, :256] / 255
    light = rng.uniform(0.5, 0.9) + rng.uniform(0.1, 0.5) * (xx if rng.random() < 0.5 else yy)
    shifted = np.roll(picture, tuple(rng.integers(-6, 7, 2)), (0, 1))
    return np.clip(shifted * light[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("texture", ["leather", "metal", "tile"])
def test_other_light_is_found_and_other_parts_are_not(texture, rng):
    parts = [synthetic.draw(texture, "good", np.random.default_rng(k))[0] for k in range(8)]
    pictures = [p for part in parts for p in (part, relit(part, rng), relit(part, rng))]
    groups = duplicates.groups([duplicates.signature(p) for p in pictures])
    assert groups.tolist() == np.repeat(range(8), 3).tolist()


def test_what_all_pictures_share_is_not_what_makes_duplicates(rng):
    outline = np.zeros((64, 64, 3), np.float32)
    cv2.circle(outline, (32, 32), 22, (180, 180, 180), 5)
    bottles = [np.clip(outline + rng.normal(40, 12, outline.shape), 0, 255).astype(np.uint8) for _ in range(24)]
    signatures = [duplicates.signature(b) for b in bottles]
    assert len(set(duplicates.groups(signatures))) == 24


def test_chains_join_and_order_is_by_similarity():
    base = synthetic.draw("metal", "good", np.random.default_rng(1))[0]
    signatures = [duplicates.signature(p) for p in (base, base, base // 2)]
    index, similarity = duplicates.pairs(signatures)
    assert index.tolist()[0] == [0, 1] and similarity[0] == pytest.approx(1, abs=1e-3)
    assert (np.diff(similarity) <= 0).all()
    other = duplicates.signature(synthetic.draw("metal", "good", np.random.default_rng(2))[0])
    assert duplicates.groups([*signatures, other]).tolist() == [0, 0, 0, 1]
    # A file name may tell what no correlation shows.
    assert duplicates.groups([*signatures, other], known=[None, None, "tile 7", "tile 7"]).tolist() == [0, 0, 0, 0]


def test_few_and_blank_pictures():
    assert duplicates.groups([]).shape == (0,)
    blank = duplicates.signature(np.full((50, 50, 3), 128, np.uint8))
    assert len(set(duplicates.groups([blank, blank]))) == 2  # nothing to compare


def test_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="Received"):
        duplicates.pairs(np.zeros((3, 10, 10)))


def test_a_shared_outline_does_not_make_few_pictures_one_part(rng):
    """Below 20 pictures the mean cannot be taken out: eight rings, each with a texture of its own."""
    y, x = np.mgrid[-64:64, -64:64]
    ring = 200.0 * ((np.hypot(x, y) > 24) & (np.hypot(x, y) < 52))
    texture = [cv2.resize(rng.normal(0, 25, (32, 32)), (128, 128)) for _ in range(8)]
    rings = [np.clip(ring + t, 0, 255).astype(np.uint8)[..., None].repeat(3, -1) for t in texture]
    signatures = [duplicates.signature(p) for p in (*rings, rings[0])]
    assert len(set(duplicates.groups(signatures))) == 8  # the ninth is the first again
