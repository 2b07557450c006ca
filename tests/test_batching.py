from experiments.ablations import batching


def test_what_goes_through_the_network_in_an_epoch():
    """7140 pairs of 120 images: 447 steps of 16 pairs, or 15 steps of 40 images with all pairs among them."""
    settings = {**batching.TABLE.settings, "batch_size": None}
    assert batching.passes({**settings, "batching": "images"}) == (15, 600)
    steps, images = batching.passes({**settings, "batching": "pairs"})
    assert steps == 447 and 12_000 < images <= 2 * 7140
