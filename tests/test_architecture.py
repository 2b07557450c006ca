"""docs/architecture.md shows the layers that setup.cfg asserts."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_layers_on_the_page_are_those_of_the_contract():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    contract = config["importlinter:contract:layers"]["layers"].replace("fsad.", "").split("\n")
    page = re.search(r"```\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.S)[1]
    assert page.split("\n") == [*filter(None, contract), ""]
