import pytest

from experiments import overview
from experiments.senarathna import table1
from experiments.takimoto.tables import TABLES


def test_the_page_is_as_the_command_writes_it():
    page = overview.PAGE.read_text()
    assert overview.text(page) == page, "run python -m experiments.overview"
    with pytest.raises(ValueError, match="Received: 0 times"):
        overview.text(page.replace("<!-- /states -->", ""))


def test_only_the_swapped_reading_gives_the_row_of_vgg19():
    rows = {row.key: row for row in table1.TABLE.rows}
    assert overview.misprints(rows["vgg19"], swapped=True) == ((72, 48, 1, 25), [])
    assert overview.misprints(rows["vgg19"], swapped=False)[1] == ["precision", "recall"]
    assert overview.misprints(rows["custom_cnn"], swapped=False) == ((73, 5, 0, 68), [])


def test_which_test_counts_a_row_fits():
    """Screw, method I: 0.640 of 100 normal and 0.986 of 71 abnormal ones are 0.784 of 171; tile: 0.590, 0.980."""
    screw, tile = TABLES[9].rows[0], TABLES[11].rows[0]
    assert overview.fits(screw, 100, 71) and not overview.fits(screw, 71, 71)
    assert overview.fits(tile, 40, 40) and not overview.fits(tile, 100, 40)
