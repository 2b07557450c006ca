import numpy as np
import pytest

from fsad import pairs


def test_anchor_pairs_written_out():
    # Good images are rows 1, 2, 3 and 5; the first two are anchors.
    labels = [1, 0, 0, 0, 1, 0]
    assert pairs.good(labels).tolist() == [1, 2, 3, 5] and pairs.anchors(labels).tolist() == [1, 2]
    index, pair_labels = pairs.anchor_pairs(labels)
    assert index.tolist() == [[1, 3], [2, 5], [1, 0], [2, 4]] and pair_labels.tolist() == [[0], [0], [1], [1]]


def test_all_anchor_pairs_written_out():
    labels = [1, 0, 0, 0, 1, 0]  # anchors 1 and 2; good 3 and 5; defective 0 and 4
    index, pair_labels = pairs.all_anchor_pairs(labels)
    assert index.tolist() == [[1, 3], [1, 5], [1, 0], [1, 4], [2, 3], [2, 5], [2, 0], [2, 4]]
    assert pair_labels[:, 0].tolist() == [0, 0, 1, 1] * 2
    assert len(pairs.all_anchor_pairs(np.repeat([0, 1], [16, 8]))[0]) == 128
    with pytest.raises(ValueError, match="two good images and a defective one"):
        pairs.all_anchor_pairs([0, 1])


def test_smaller_roles_start_over():
    index, pair_labels = pairs.anchor_pairs([0, 0, 0, 1, 1, 1])  # anchors 0 and 1
    assert index.tolist() == [[0, 2], [1, 2], [0, 2], [0, 3], [1, 4], [0, 5]] and pair_labels[:, 0].sum() == 3
    for labels in ([0, 1], [0, 0]):
        with pytest.raises(ValueError, match="two good images and a defective one"):
            pairs.anchor_pairs(labels)


@pytest.mark.parametrize(("abnormal", "counts"), [(40, (3160, 780, 3200)), (20, (3160, 190, 1600))])
def test_all_pairs_of_the_paper_s_training_sets(abnormal, counts):
    """Tables 6 and 7: pairs of two normal, of two abnormal images, and of one of each."""
    labels = np.repeat([0, 1], [80, abnormal])
    index, pair_labels = pairs.all_pairs_with_normal(labels)
    different, normal = pair_labels.T
    kinds = (normal == 1) & (different == 0), normal == 0, different == 1
    assert tuple(int(kind.sum()) for kind in kinds) == counts and len(index) == sum(counts)
    assert (labels[index[normal == 0]] == 1).all() and (labels[index[different == 1]] == [0, 1]).all()
    plain, plain_labels = pairs.all_pairs(labels)
    assert np.array_equal(plain, index) and np.array_equal(plain_labels[:, 0], different)


def test_all_pairs_need_both_classes():
    with pytest.raises(ValueError, match=r"labelled 0 and 1, some of both. Received: \[0\]"):
        pairs.all_pairs([0, 0])


def test_class_pairs_are_one_same_and_one_different_and_never_of_one_group(rng):
    labels, groups = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 3, 1])
    index, pair_labels = pairs.class_pairs(labels, groups, rng)
    # Image 5 is the only one of its class, so it has no partner of the same.
    assert pair_labels[:, 0].tolist() == [0.0] * 5 + [1.0] * 6
    assert index[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]
    assert (groups[index[:, 0]] != groups[index[:, 1]]).all()
    assert np.array_equal(labels[index[:, 0]] != labels[index[:, 1]], pair_labels[:, 0] == 1)
    # 0 and 1 show one part, so their partner of the same class is 2.
    assert index[:2, 1].tolist() == [2, 2]


BATCHINGS = [("pairs", 16), ("anchors", 16), ("images", 8), ("images", 12), ("images", 99)]


@pytest.mark.parametrize(("batching", "size"), BATCHINGS)
def test_the_dataset_has_every_pair_once_an_epoch(batching, size, rng):
    """Each of 21 images shows its row number, so a batch shows which rows it holds."""
    images = np.arange(21, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 3), np.uint8)
    index, pair_labels = pairs.all_pairs_with_normal(np.repeat([0, 1], [14, 7]))
    expected = sorted((*pair, *y) for pair, y in zip(index.tolist(), pair_labels.tolist(), strict=True))
    data = pairs.dataset(images, index, pair_labels, batching, size, 2, rng)
    batches, steps = [*data.as_numpy_iterator()], pairs.steps(21, batching, size)
    assert len(batches) == int(data.cardinality()) == 2 * steps
    epochs = []
    for epoch in (batches[:steps], batches[steps:]):
        epochs.append([])
        for (batch, local), y in epoch:
            rows = batch[:, 0, 0, 0].astype(int)
            assert batch.dtype == np.float32 and (np.diff(rows) > 0).all()  # no image twice
            assert set(rows) == set(rows[local].ravel())
            epochs[-1] += [(*pair, *labels) for pair, labels in zip(rows[local].tolist(), y.tolist(), strict=True)]
        assert sorted(epochs[-1]) == expected
    assert epochs[0] != epochs[1] or steps == 1


@pytest.mark.parametrize("batching", pairs.BATCHINGS)
def test_seeds_repeat(batching):
    index, _ = pairs.all_pairs(np.repeat([0, 1], [14, 7]))

    def order(seed):
        return pairs.BATCHINGS[batching](index, 8, np.random.default_rng(seed))[0].tolist()

    assert order(0) == order(0) != order(1)


def test_anchors_keep_their_pairs_together(rng):
    """Six pairs of three anchors a batch, so nine images instead of twelve."""
    images = np.arange(30, dtype=np.float32)[:, None]
    index, pair_labels = pairs.anchor_pairs(np.repeat([0, 1], [20, 10]))
    data = pairs.dataset(images, index, pair_labels, "anchors", 6, 1, rng)
    assert [len(batch) for (batch, _), _ in data] == [9, 9, 9, 3]
    first, second = (index[pairs.by_anchors(index, 6, rng)[0], 0] for _ in range(2))
    assert first.tolist() != second.tolist() and (first[::2] == first[1::2]).all()


def test_images_a_step_bound_what_goes_through_the_network(rng):
    index, pair_labels = pairs.all_pairs(np.repeat([0, 1], [80, 40]))
    passes = {}
    for batching, size in (("images", 40), ("pairs", 16)):
        data = pairs.dataset(np.zeros((120, 1)), index, pair_labels, batching, size, 1, rng)
        passes[batching] = [len(batch) for (batch, _), _ in data]
    assert passes["images"] == [40] * 15  # 600 passes for 7140 pairs
    assert sum(passes["pairs"]) > 12_000


def test_pairs_of_images_that_are_not_there_and_unknown_batchings(rng):
    index, pair_labels = pairs.anchor_pairs(np.repeat([0, 1], [8, 4]))
    with pytest.raises(ValueError, match=r"pairs of 5 images. Received: rows up to 11"):
        pairs.dataset(np.zeros((5, 2, 2, 3), np.uint8), index, pair_labels, "anchors", 3, 1, rng)
    with pytest.raises(ValueError, match=r"batching among pairs, anchors, images. Received: 'random'"):
        pairs.dataset(np.zeros((12, 2, 2, 3), np.uint8), index, pair_labels, "random", 3, 1, rng)
