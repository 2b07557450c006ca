import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_gallery_has_every_committed_figure_once():
    pytest.importorskip("yaml")
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs" / "site.py")
    site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(site)
    shown = re.findall(r"\(experiments/results/(.*?\.png)\)", site.gallery())
    assert sorted(shown) == sorted(path.name for path in ROOT.glob("experiments/results/*.png"))


@pytest.mark.slow
def test_the_site_is_built_and_needs_no_network():
    pytest.importorskip("mkdocs")
    subprocess.run([sys.executable, ROOT / "docs" / "site.py"], check=True, capture_output=True)
    site = ROOT / "docs" / "site"
    pages = [*site.rglob("*.html")]
    assert len(pages) > 100 and (site / "search" / "search_index.js").is_file()
    loaded = re.compile(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)")
    assert {url for page in pages for url in loaded.findall(page.read_text())} == set()
