import numpy as np
import pytest

from fsad import pairs


def test_senarathna_pairs_written_out():
    index, labels = pairs.senarathna(2)
    assert index.tolist() == [[0, 2], [1, 3], [0, 4], [1, 5]]
    assert labels.tolist() == [[0], [0], [1], [1]]


def test_the_paper_has_128_pairs():
    index, labels = pairs.senarathna(64)
    assert len(index) == 128 and labels.sum() == 64 and index.max() == 191


def test_an_epoch_holds_every_pair_once_and_no_picture_twice_a_batch(rng):
    index, labels = pairs.senarathna(10)
    seen = []
    for rows, local, y in pairs.batches(index, labels, 6, rng):
        assert len(set(rows)) == len(rows) == 3 * len(local) // 2  # an anchor's two pairs stay together
        seen += [(*pair, label) for pair, label in zip(rows[local].tolist(), y[:, 0].tolist(), strict=True)]
    assert sorted(seen) == sorted((*pair, label) for pair, label in zip(index.tolist(), labels[:, 0], strict=True))


def test_epochs_differ_and_seeds_repeat():
    index, labels = pairs.senarathna(10)

    def epochs(seed):
        rng = np.random.default_rng(seed)
        return [[rows.tolist() for rows, _, _ in pairs.batches(index, labels, 4, rng)] for _ in range(2)]

    assert epochs(0) == epochs(0) and epochs(0)[0] != epochs(0)[1] and epochs(0) != epochs(1)


def test_dataset_gathers_the_pictures_of_each_batch(rng):
    pictures = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    index, labels = pairs.senarathna(4)
    data = pairs.dataset(pictures, index, labels, 3, rng)
    assert int(data.cardinality()) == 3
    met = []
    for (shown, local), y in data:
        assert shown.dtype == "float32" and y.shape == (len(local), 1)
        met += shown.numpy()[:, 0, 0, 0][local.numpy()].tolist()
    assert sorted(met) == sorted(index.tolist())


def test_pairs_of_pictures_that_are_not_there(rng):
    index, labels = pairs.senarathna(4)
    with pytest.raises(ValueError, match="Received: rows up to 11"):
        pairs.dataset(np.zeros((5, 2, 2, 3), np.uint8), index, labels, 3, rng)
