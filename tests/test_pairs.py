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


def test_all_pairs_of_the_paper_s_training_sets():
    for abnormal, expected in ((40, (3160, 780, 3200)), (20, (3160, 190, 1600))):
        labels = np.repeat([0, 1], [80, abnormal])
        index, told = pairs.takimoto(labels)
        different, normal = told.T
        found = ((normal == 1) & (different == 0), normal == 0, different == 1)
        assert tuple(int(f.sum()) for f in found) == expected and len(index) == sum(expected)
        assert (labels[index[normal == 0]] == 1).all()


@pytest.mark.parametrize(("batching", "size"), [("pairs", 16), ("pictures", 8), ("pictures", 12), ("pictures", 99)])
def test_both_batchings_see_every_pair_once_an_epoch(batching, size, rng):
    labels = np.repeat([0, 1], [14, 7])
    index, told = pairs.takimoto(labels)
    expected = {tuple(pair): tuple(y) for pair, y in zip(index.tolist(), told.tolist(), strict=True)}
    met, count = {}, 0
    for rows, local, y in pairs.BATCHINGS[batching](labels, size, rng):
        count += 1
        assert len(set(rows.tolist())) == len(rows)
        for pair, told_pair in zip(np.sort(rows[local], axis=1).tolist(), y.tolist(), strict=True):
            assert tuple(pair) not in met
            met[tuple(pair)] = tuple(told_pair)
    assert met == expected and count == pairs.steps(21, batching, size)


def test_pictures_a_step_bound_what_goes_through_the_network(rng):
    labels = np.repeat([0, 1], [80, 40])
    sizes = [len(rows) for rows, _, _ in pairs.by_pictures(labels, 40, rng)]
    assert sizes == [40] * 15  # 600 passes for 7140 pairs
    assert sum(len(rows) for rows, _, _ in pairs.by_pairs(labels, 16, rng)) > 12_000


def test_livieris_pairs_are_one_same_and_one_different_a_picture_and_never_itself(rng):
    labels, groups = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 3, 1])
    index, told = pairs.livieris(labels, groups, rng)
    # Picture 5 is the only one of its class, so it has no partner of the same.
    assert told[:, 0].tolist() == [0.0] * 5 + [1.0] * 6
    assert index[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]
    assert (groups[index[:, 0]] != groups[index[:, 1]]).all()
    np.testing.assert_array_equal(labels[index[:, 0]] != labels[index[:, 1]], told[:, 0] == 1)
    # 0 and 1 are one thing twice, so their partner of the same class is 2; of 2, which shares its group with 5, either.
    assert index[:2, 1].tolist() == [2, 2]
