import numpy as np
import pytest

from fsad import input_size
from fsad.inputs import Sample


def samples(sizes):
    return [Sample(np.broadcast_to(np.uint8(0), (height, width, 3))) for width, height in sizes]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(100, 100), (104, 100)], (320, 320)),
        ([(4000, 3000)] * 3, (272, 368)),  # 320 x 320 pixels in area, about
        ([(204, 512), (207, 512)], (512, 208)),
        ([(200, 100), (100, 200)], (320, 320)),  # no one aspect
    ],
)
def test_the_input_keeps_the_aspect_of_the_good_images(sizes, expected):
    assert input_size.keeping_aspect(samples(sizes), 320, warnings := []) == expected
    assert bool(warnings) == ((200, 100) in sizes)


def test_much_larger_images_are_taken_in_tiles_unless_told_otherwise():
    large = samples([(4000, 3000)] * 3)
    assert input_size.choose(large, 320, {}, warnings := []) == {"side": (1248, 1680), "tile": 320}
    assert warnings[0].startswith("The good images are 4000 x 3000: compared at 1680 x 1248, in tiles of 320 pixels")
    assert input_size.choose(large, 320, {"side": 320}, []) == {"side": (272, 368)}
    assert input_size.choose(large, 320, {"tile": 0}, []) == {"side": (272, 368)}
    assert input_size.choose(large, 320, {"side": (300, 400)}, []) == {}
    assert input_size.choose(samples([(900, 900)]), 320, {}, []) == {"side": (320, 320)}
    assert input_size.choose(samples([(1000, 1000)]), 320, {}, [])["side"] == (992, 992)  # not beyond its own pixels
